"""How log lines look and where they go: standard error, one line per state change, secrets masked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog

from eventbus.telemetry.redaction import redact

__all__ = ["LOGGERS", "configure_logs"]

LOGGERS: Final = (
    "eventbus.api",
    "eventbus.cases",
    "eventbus.controls",
    "eventbus.daemon",
    "eventbus.headroom",
    "eventbus.notices",
    "eventbus.operation",
    "eventbus.pausing",
    "eventbus.pipeline",
    "eventbus.preview",
    "eventbus.reload",
    "eventbus.retention",
    "eventbus.route",
    "eventbus.saver",
    "eventbus.service_manager",
    "eventbus.sink",
    "eventbus.source",
    "eventbus.stage",
    "eventbus.subscription",
    "eventbus.supervisor",
    "eventbus.tracing",
)
"""The names under which our own lines are written. Those of libraries have a level of their own: below it
some of them show values of documents."""

_NOISY = ("aiokafka", "aiohttp.access", "pymongo", "asyncio", "cel")
"""Libraries that tell of every reconnection; our own lines say it once, with the subscription. And one that
shows values of documents, of each event for which an expression has no result."""


def configure_logs(level: str, form: str, levels: Mapping[str, str] | None = None) -> None:
    """Set up structlog, and standard logging for the libraries.

    Args:
        level: The least level that is written: debug, info, warning or error.
        form: ``json``, ``console``, or ``auto`` for console on a terminal and JSON elsewhere.
        levels: Other levels for some of `LOGGERS`.
    """
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # before the mask, and without the values of variables
        _mask,
    ]
    render: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if console
        else [structlog.processors.JSONRenderer(serializer=_dumps)]
    )
    numbers = {name: _number(other) for name, other in (levels or {}).items()}
    sieve: list[structlog.typing.Processor] = [_Sieve(_number(level), numbers)] if numbers else []
    structlog.configure(
        processors=[*sieve, *shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(min(_number(level), *numbers.values(), 100)),
        logger_factory=_logger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_meta, *render])
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _Logger(structlog.PrintLogger):
    """One that knows its name."""

    name = ""


def _logger(*names: str) -> _Logger:
    made = _Logger(sys.stderr)
    made.name = names[0] if names else ""
    return made


class _Sieve:
    """Lets through what the logger's own level lets through.

    Args:
        usual: The level of loggers that have none of their own.
        numbers: By name of the logger, its level.
    """

    def __init__(self, usual: int, numbers: Mapping[str, int]) -> None:
        self._usual = usual
        self._numbers = numbers

    def __call__(
        self, logger: Any, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """See `structlog.typing.Processor`."""
        if _number(_LEVEL_OF.get(method, method)) < self._numbers.get(logger.name, self._usual):
            raise structlog.DropEvent
        return event


_LEVEL_OF: Final = {"exception": "error", "warn": "warning", "fatal": "critical"}


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _mask(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def _drop_meta(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)


def _dumps(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()
