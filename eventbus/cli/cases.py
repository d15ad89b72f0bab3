"""Cases of configurations: run, and what differs from what is expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from eventbus.cases.comparing import Difference, differences
from eventbus.cases.files import FileOfCases, WrittenCase, read_cases
from eventbus.cases.running import Rig
from eventbus.cli.printing import print_json, printable
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry

__all__ = ["run_cases"]


async def run_cases(files: Sequence[Path], part: str | None, *, as_json: bool) -> bool:
    """Run the cases of files whose name contains a text; all are read before any is run.

    Returns:
        Whether all of them hold.

    Raises:
        ConfigurationError: A file is wrong, or no case has such a name.
    """
    read = _read(files)
    passed = failed = 0
    for of_one in read:
        chosen = [case for case in of_one.cases if part is None or part in case.case.name]
        if chosen and not as_json:
            typer.echo(f"{of_one.file}")
        for case in chosen:
            found = await _found(of_one, case)
            passed, failed = (passed, failed + 1) if found else (passed + 1, failed)
            (_print_row if as_json else _print)(of_one, case, found)
    if not passed + failed:
        names = "no file has a case" if part is None else f"no case's name contains {part!r}"
        raise ConfigurationError(names)
    if not as_json:
        typer.echo(f"{passed + failed} cases: {passed} passed, {failed} failed")
    return not failed


def _read(files: Sequence[Path]) -> list[FileOfCases]:
    registry = Registry.from_entry_points()
    read: list[FileOfCases] = []
    problems: list[str] = []
    for file in files:
        try:
            read.append(read_cases(file, registry))
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(*problems)
    return read


async def _found(of_one: FileOfCases, case: WrittenCase) -> list[Difference]:
    rig = Rig(of_one.config, of_one.subscription, of_one.collections)
    return differences(case.case, await rig.run(case.events))


def _print(_: FileOfCases, case: WrittenCase, found: Sequence[Difference]) -> None:
    verdict, where = ("FAILED", f" (line {case.line})") if found else ("ok", "")
    typer.echo(f"  {verdict:<8}{printable(case.case.name)}{where}")
    for one in found:
        typer.echo(f"      {one.path}")
        typer.echo(f"        expected  {printable(one.expected)}")
        typer.echo(f"        got       {printable(one.got)}")


def _print_row(of_one: FileOfCases, case: WrittenCase, found: Sequence[Difference]) -> None:
    print_json(
        {
            "file": str(of_one.file),
            "line": case.line,
            "name": case.case.name,
            "ok": not found,
            "differences": [asdict(one) for one in found],
        }
    )
