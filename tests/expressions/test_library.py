"""Nobody carries what only the command line of a library needs."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import sys
from eventbus.expressions.expression import Condition
before = "cel" in sys.modules
Condition("operation == 'insert'")
print(before, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_the_library_is_loaded_with_the_first_expression_and_without_an_editor_of_lines() -> None:
    """The editor would cost 8 MB; and expressions are computed all the same."""
    ran = subprocess.run([sys.executable, "-c", _CODE], check=True, capture_output=True, text=True)
    before, *loaded = ran.stdout.split()
    assert before == "False"
    assert "cel" in loaded
    assert "prompt_toolkit" not in loaded
