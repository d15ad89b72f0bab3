"""Checks sinks: can each target be reached, and, on request, does it take an event."""

from __future__ import annotations

import os
from contextlib import aclosing
from pathlib import Path

from pydantic import BaseModel

from eventbus.config import Config
from eventbus.doctor.catalogue import found
from eventbus.doctor.findings import Finding, well
from eventbus.doctor.marked_event import encoder_for, marked_event, sent
from eventbus.errors import ConfigurationError
from eventbus.sdk import Delivered, ProbedSink, Sink

__all__ = ["target"]


async def target(config: Config, name: str, *, write: bool, sender: str) -> Finding:
    """Go to a sink's target, as far as it goes without a message; with `write`, one further.

    Args:
        config: Declares the sink.
        name: Its name.
        write: Whether to send it a marked event.
        sender: Who asks, for whoever finds the event.
    """
    declared = config.sinks[name]
    try:
        sink = declared.make(name)
        try:
            finding = await _reached(sink) if isinstance(sink, ProbedSink) else _local(sink, declared.options)
            if not write or finding.mend:
                return finding
            return await _written(config, sink, finding, sender)
        finally:
            await sink.close()
    except ConfigurationError as error:
        return found("sink.refused", str(error), about=name)


async def _reached(sink: ProbedSink) -> Finding:
    async with aclosing(sink.probe()) as taken:
        step = [step async for step in taken][-1]
    if not step.ok:
        return _unreachable(sink, f"{step.name}: {step.detail}")
    return well("sink", "reached, and let in", sink.name)


def _local(sink: Sink, options: BaseModel) -> Finding:
    """A sink that tells no steps is not opened, which might hurt the daemon that has it open."""
    path = getattr(options, "path", None)
    if not isinstance(path, Path):
        return well("sink", "is on this machine", sink.name)
    folder = path.absolute().parent
    if not folder.is_dir():
        return _unreachable(sink, f"there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        return _unreachable(sink, f"{folder} may not be written to")
    return well("sink", f"{folder} may be written to", sink.name)


async def _written(config: Config, sink: Sink, finding: Finding, sender: str) -> Finding:
    event = marked_event(config, sink.name, sender=sender)
    if not isinstance(sink, ProbedSink):
        await sink.open()
    outcome = await sent(sink, event, encoder_for(config, sink.name, sink))
    if outcome is None:
        return well("sink", f"{finding.text}; takes changes of documents alone: nothing was sent", sink.name)
    if isinstance(outcome, Delivered):
        return well("sink", f"{finding.text}; took event {event.id}", sink.name)
    text = f"{outcome.kind}: {outcome.reason}"
    return found("sink.not_delivered", text, about=sink.name, mend=_how(sink))


def _unreachable(sink: Sink, text: str) -> Finding:
    return found("sink.unreachable", text, about=sink.name, mend=_how(sink))


def _how(sink: Sink) -> str:
    return f"eventbus sink test {sink.name} prints each step"
