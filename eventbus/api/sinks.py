"""Endpoints about sinks: which there are, and whether they can be reached."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, Final

from eventbus.administration.names import check_sink
from eventbus.administration.sink_test import Place, Verdict, sink_tested
from eventbus.api import answers
from eventbus.api.endpoints import Call, Endpoint, Nothing, Params, Wish
from eventbus.api.named import there
from eventbus.api.operating import Name

__all__ = ["ENDPOINTS"]


class _OfSink(Params):
    sink: str
    """Name of the sink."""


class _Test(Wish):
    """A marked event that is to be sent."""

    database: Name | None = None
    """Database that the event names."""
    collection: Name | None = None
    """Collection that the event names."""
    document: dict[str, Any] | None = None
    """Send an insert of this, in Extended JSON."""


async def _sinks(call: Call, _: Nothing, __: None) -> answers.Sinks:
    subscriptions = call.config.subscriptions.values()
    return answers.Sinks(
        sinks=[
            answers.Sink(
                name=name,
                type=sink.type,
                routes=[f"{s.name}/{r.name}" for s in subscriptions for r in s.routes if r.sink == name],
            )
            for name, sink in call.config.sinks.items()
        ]
    )


async def _test(call: Call, which: _OfSink, wish: _Test) -> answers.SinkTest:
    there(check_sink, call.config, which.sink)
    place = Place(wish.database, wish.collection)
    steps, verdict = [], None
    async with aclosing(sink_tested(call.config, which.sink, place, wish.document, by=call.by)) as taken:
        async for step in taken:
            steps.append(answers.Step(**step.row()))
            verdict = step.verdict
    return answers.SinkTest(verdict=(verdict or Verdict.AWAY).value, steps=steps)


ENDPOINTS: Final = (
    Endpoint("GET", "/sinks", "list_sinks", "The targets that are declared.", _sinks, answers.Sinks),
    Endpoint(
        "POST",
        "/sinks/{sink}/test",
        "test_sink",
        "Send one marked event, and tell each step.",
        _test,
        answers.SinkTest,
        _OfSink,
        _Test,
        refusals=["not_found", "unavailable"],
    ),
)
