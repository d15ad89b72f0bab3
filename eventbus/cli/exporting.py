"""Writing dead letters out, with events and messages, one JSON object a line."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import orjson

from eventbus.administration.letters import exported
from eventbus.cli.letters import query_of
from eventbus.cli.printing import note
from eventbus.config import Config
from eventbus.errors import ConfigurationError
from eventbus.servers import open_store
from eventbus.state.access import Access
from eventbus.state.store import LetterQuery

__all__ = ["export_letters"]


async def export_letters(config: Config, query: LetterQuery, limit: int, path: Path | None) -> None:
    """Write dead letters to a file, or to standard output; at most `limit`, 0 for all.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    count = 0
    with _whole_file(path) if path else _standard_output() as out:
        async with open_store(config, access=Access.READ) as store:
            query = await query_of(config, store, query)
            async for stored in store.find_letters(query, limit=limit or None):
                out.write(orjson.dumps(exported(stored), option=orjson.OPT_APPEND_NEWLINE))
                count += 1
    note(f"exported {count}")


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that is there with all of its lines, on disk, or as it was before; for its owner's eyes only."""
    try:
        file, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(file, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()
