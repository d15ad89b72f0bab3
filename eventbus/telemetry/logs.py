"""How log lines look and where they go: standard error, one line per state change, secrets masked."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog

from eventbus.telemetry.redaction import redact

__all__ = ["configure_logs"]

_NOISY = ("aiokafka", "aiohttp.access", "pymongo", "asyncio", "cel")
"""Libraries that tell of every reconnection; our own lines say it once, with the subscription. And one that
shows values of documents, of each event for which an expression has no result."""


def configure_logs(level: str, form: str) -> None:
    """Set up structlog, and standard logging for the libraries.

    Args:
        level: The least level that is written: debug, info, warning or error.
        form: ``json``, ``console``, or ``auto`` for console on a terminal and JSON elsewhere.
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
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_meta, *render])
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _mask(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def _drop_meta(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)


def _dumps(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()
