"""`eventbus init`: ask, check, write, and say what to type next."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import typer

from eventbus.cli.initial.answers import Address, Answers, address_of, state_path
from eventbus.cli.initial.asking import Asking
from eventbus.cli.initial.server import Look, look_at
from eventbus.cli.initial.text import configuration_text
from eventbus.cli.printing import note
from eventbus.config import load
from eventbus.doctor.mongosh import command
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry

__all__ = ["Given", "initialise"]

_USUAL_URI: Final = "mongodb://localhost:27017/?replicaSet=rs0"


@dataclass(frozen=True, slots=True)
class Given:
    """What options have answered; None and empty lists for what is still to be asked.

    Args:
        uri: Address of the deployment.
        database: Name of the database.
        collections: Names of its collections.
        sinks: Each as ``TYPE=ADDRESS``.
        state: ``mongodb`` or ``sqlite=PATH``.
        exactly_once: Whether to deliver exactly once where that is possible.
        admin: Whether the admin API may be used, with a token.
    """

    uri: str | None
    database: str | None
    collections: Sequence[str]
    sinks: Sequence[str]
    state: str | None
    exactly_once: bool | None
    admin: bool | None = None


def initialise(file: Path, given: Given, *, asks: bool, force: bool, offline: bool) -> None:
    """Write a first configuration.

    Args:
        file: What to write.
        given: What need not be asked.
        asks: Whether somebody is there to answer.
        force: Whether a file that is there is overwritten.
        offline: Whether no server is looked at.

    Raises:
        ConfigurationError: The file is there, or an answer is missing or wrong. Nothing is written.
    """
    if file.exists() and not force:
        raise ConfigurationError(f"{file} is there already: name another file, or --force to overwrite it")
    asking = Asking(asks=asks)
    uri = address_of(asking.text("address of MongoDB", given.uri, _USUAL_URI, "--uri"), "MONGODB_URI")
    look = _look(uri, offline=offline)
    answers = _answers(asking, given, uri, look)
    _write(file, answers)
    _tell(file, answers, look)


def _look(uri: Address, *, offline: bool) -> Look:
    if offline or not uri.value:
        return Look()
    look = anyio.run(look_at, uri.value)
    if look.problem:
        note(f"MongoDB: {look.problem}")
    return look


def _answers(asking: Asking, given: Given, uri: Address, look: Look) -> Answers:
    only = next(iter(look.databases)) if len(look.databases) == 1 else None
    database = asking.text("database", given.database, only, "--database", look.databases)
    there = look.databases.get(database, {})
    collections = asking.names("collections, or nothing for all", list(given.collections), there)
    for name in collections:
        if there and name not in there:
            note(f"there is no collection {database}.{name} yet")
    return Answers(
        uri,
        database,
        collections,
        asking.sinks(list(given.sinks)),
        state_path(asking.text("state, mongodb or sqlite=PATH", given.state, "mongodb", "--state")),
        exactly_once=asking.yes("exactly once, where the target can", given.exactly_once),
        images=look.keeps_images(database, collections),
        admin=asking.yes("an admin API, with a token", given.admin),
    )


def _write(file: Path, answers: Answers) -> None:
    """Write the file whole, once it is sure that it is a configuration."""
    text = configuration_text(answers, str(file))
    values = {one.variable: one.value for one in answers.addresses if one.variable is not None}
    if answers.admin:
        values["EVENTBUS_TOKEN"] = "x" * 32  # whatever it will be
    with _beside(file) as draft:
        draft.write_text(text)
        try:
            load([draft], Registry.from_entry_points(), {**os.environ, **values})
        except ConfigurationError as error:
            said = [problem.replace(str(draft), str(file)) for problem in error.problems]
            raise ConfigurationError("nothing is written, since it would not be valid:", *said) from None
        draft.replace(file)


@contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """A draft that takes the file's place, or is gone afterwards."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
            yield Path(folder, file.name)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None


def _tell(file: Path, answers: Answers, look: Look) -> None:
    for address in answers.addresses:
        if address.variable is not None:
            note(
                f"the file says {address.written}, not what is secret in it: set {address.variable} to run it"
            )
    if answers.admin:
        note("set EVENTBUS_TOKEN to run it, and to use the admin API: 'openssl rand -hex 32' makes one")
    if answers.exactly_once and answers.only_at_least_once:
        note(
            f"at least once, since their type knows no transactions: {', '.join(answers.only_at_least_once)}"
        )
    for name in look.lacking_images(answers.database, list(answers.collections)):
        on = {"collMod": name, "changeStreamPreAndPostImages": {"enabled": True}}
        note(f"{answers.database}.{name} keeps no images; in mongosh: {command(answers.database, on)}")
    of = ", ".join(answers.collections) or "all collections"
    to = ", ".join(sink.name for sink in answers.sinks)
    typer.echo(f"wrote {file}: subscription {answers.subscription}, {of} of {answers.database} to {to}")
    typer.echo("next:")
    typer.echo(f"  eventbus validate {file} --connect")
    typer.echo(f"  eventbus doctor -c {file}")
    typer.echo(f"  eventbus run -c {file}")
