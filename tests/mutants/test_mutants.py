"""Every mutant can still be made: `make mutants` takes too long to find that out."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.docs.pages import ROOT
from tests.mutants.every import EVERY
from tests.mutants.table import Mutant


@pytest.mark.parametrize("mutant", EVERY, ids=lambda mutant: mutant.name)
def test_its_text_stands_in_its_file_once(mutant: Mutant) -> None:
    """Else the engine has changed, and the mutant must change with it."""
    assert (ROOT / "eventbus" / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


@pytest.mark.parametrize("test", sorted({mutant.test for mutant in EVERY}))
def test_what_must_notice_it_is_there(test: str) -> None:
    """The file, and the function or the class in it; what a class inherits stands elsewhere."""
    file, *names = test.partition("[")[0].split("::")
    text = (ROOT / file).read_text()
    assert not names or f"def {names[0]}(" in text or f"class {names[0]}" in text


def test_no_two_have_the_same_name() -> None:
    """One is chosen by a part of its name."""
    assert [name for name, count in Counter(mutant.name for mutant in EVERY).items() if count > 1] == []
