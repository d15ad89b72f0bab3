"""How a command ends that did not end well: one sentence for people, and a code that means something."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Final

from eventbus.errors import ConfigurationError, NotFound, Unreachable, first_cause, said
from eventbus.telemetry.redaction import redact

__all__ = ["ended"]

_NOT_THERE, _WRONG, _AWAY, _MISTAKE = 1, 2, 3, 70
"""Exit codes of the command line: see `eventbus.cli`."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def ended(error: Exception) -> int:
    """Say what is wrong on standard error.

    Args:
        error: What a command raised; of several at once, the first counts.

    Returns:
        The exit code.
    """
    cause = first_cause(error)
    match cause:
        case BrokenPipeError():  # whoever reads has had enough
            return _NOT_THERE
        case OSError() if cause.errno in _FULL and not _is_daemon():
            sys.stderr.write(
                f"not all could be written: {cause.filename or 'the output'}: {cause.strerror}\n"
            )
            return _NOT_THERE
        case NotFound():
            code = _NOT_THERE
        case ConfigurationError():
            code = _WRONG
        case Unreachable():
            code = _AWAY
        case _:
            return _mistake(error, cause)
    sys.stderr.write(f"{cause}\n")
    return code


def _mistake(error: Exception, cause: BaseException) -> int:
    """What nobody has foreseen. A daemon's log gets where it came from; who types a command, if asked for."""
    if os.environ.get("EVENTBUS_TRACEBACK") or _is_daemon():
        lines = "".join(traceback.format_exception(error)).splitlines(keepends=True)
        sys.stderr.write("".join(map(redact, lines)))
    sys.stderr.write(
        f"this should not happen: {redact(said(cause))}\n"
        "It is a mistake of eventbus: please report it, with what EVENTBUS_TRACEBACK=1 prints.\n"
    )
    return _MISTAKE


def _is_daemon() -> bool:
    return sys.argv[1:2] == ["run"]
