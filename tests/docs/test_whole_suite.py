"""`make test` runs every module of tests, and none of them twice."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.whole_suite import STEPS, parts


def _modules(command: str) -> set[Path]:
    """The modules of tests that pytest finds in what it is told to look into."""
    words = shlex.split(command)
    given = [Path(word) for word in words if word.startswith(("tests", "plugins"))]
    ignored = {Path(word.removeprefix("--ignore=")) for word in words if word.startswith("--ignore=")}
    ignored -= {*given}  # as pytest does
    found = {module for path in given for module in ([path] if path.is_file() else path.rglob("test_*.py"))}
    return {module for module in found if not any(module.is_relative_to(path) for path in ignored)}


def test_every_module_belongs_to_one_part() -> None:
    """Of the first step; those that follow run what is marked, of modules that the first has already."""
    commands = parts()
    assert commands.keys() == {name for names, _ in STEPS for name in names}
    modules = [_modules(commands[name]) for name in STEPS[0][0]]
    every = {module for folder in ("tests", "plugins") for module in Path(folder).rglob("test_*.py")}
    assert set.union(*modules) == every
    assert sum(map(len, modules)) == len(every)


def test_what_one_part_leaves_out_another_runs() -> None:
    """Of the tests of the whole daemon, by their marks."""
    commands = parts()
    marks = {
        name: words[words.index("-m", 3) + 1] for name in commands if (words := shlex.split(commands[name]))
    }
    assert {marks[f"end-to-end-{number}"] for number in (1, 2)} == {"not heavy and not alone"}
    assert [marks["heavy-1"], marks["heavy-2"], marks["alone"]] == ["heavy", "heavy", "alone"]
    end_to_end = set(Path("tests/e2e").glob("test_*.py"))
    assert _modules(commands["heavy-1"]) | _modules(commands["heavy-2"]) == end_to_end
    assert _modules(commands["alone"]) == end_to_end
