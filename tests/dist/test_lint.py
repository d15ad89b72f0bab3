"""What tools say that know the rules of a format better than we do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.dist.image_steps import DOCKERFILE

pytestmark = pytest.mark.dist

HADOLINT = Path(sys.executable).parent / "hadolint"


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    """Nor does the shell's linter, which it has in it, in the steps."""
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_hadolint_would_find_a_mistake(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(DOCKERFILE.read_text() + "RUN echo $UNQUOTED\n")
    done = subprocess.run([HADOLINT, wrong], capture_output=True, text=True, check=False)
    assert "SC2086" in done.stdout
