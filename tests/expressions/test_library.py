"""A daemon carries nothing that only the command line of a library needs."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import sys
from eventbus.expressions.expression import Condition
import eventbus.daemon
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_the_daemon_does_not_load_an_editor_of_lines() -> None:
    """It would cost 8 MB; and expressions are computed all the same."""
    ran = subprocess.run([sys.executable, "-c", _CODE], check=True, capture_output=True, text=True)
    loaded = ran.stdout.split()
    assert "cel" in loaded
    assert "prompt_toolkit" not in loaded
