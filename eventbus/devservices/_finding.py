"""Decides where a server comes from: somebody's address, a container, a binary here, a binary fetched.

The order is a promise to developers: what they named wins over what they have, and what they have wins
over what would be downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from eventbus.devservices._errors import FetchFailed, Unavailable


@dataclass(frozen=True, slots=True)
class Address:
    """A server that somebody else runs."""

    url: str


@dataclass(frozen=True, slots=True)
class Image:
    """A container image that this machine's Docker engine has, and the words that run the server in it."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A server's program on this machine: the words that run it, and what its environment needs."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


Found = Address | Image | Program
Ours = Image | Program


@dataclass(frozen=True, slots=True)
class Finders:
    """The four places to look, in order; each returns None when it has nothing to offer."""

    address: Callable[[], Address | None]
    docker: Callable[[], Image | None]
    path: Callable[[], Program | None]
    fetch: Callable[[], Program]


def find(finders: Finders, *, server: str, remedy: str) -> Found:
    """Return the first thing found.

    Args:
        finders: where to look; a later one is not called when an earlier one has found something.
        server: the server's name, for the message.
        remedy: what a person should do, as the end of a sentence.

    Raises:
        Unavailable: no place had it.
    """
    return finders.address() or find_ours(finders, server=server, remedy=remedy)


def find_ours(finders: Finders, *, server: str, remedy: str) -> Ours:
    """Like `find`, but never an address: for a server that will be killed, or that needs its own options."""
    found = finders.docker() or finders.path()
    if found is not None:
        return found
    try:
        return finders.fetch()
    except FetchFailed as error:
        raise Unavailable(f"No {server} can be had here ({_clause(str(error))}): {remedy}.") from error


def _clause(text: str) -> str:
    """Make a tool's complaint fit inside one sentence."""
    return " ".join(text.split()).replace(". ", "; ").rstrip(".")[:300]
