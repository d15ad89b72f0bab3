"""The stage: what a web service says of events, each question asked once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from eventbus.encoding.projection import only, tree_of
from eventbus.sdk import EncodingError, Event, Filtered, Parked, Slot, StageContext, Unreachable, View
from eventbus.stages.each import StageError
from eventbus.stages.http_lookup.answers import Answer, Away, Found, Missing, Refused
from eventbus.stages.http_lookup.asking import Asker
from eventbus.stages.http_lookup.known import Known
from eventbus.stages.http_lookup.options import HttpLookupOptions
from eventbus.stages.http_lookup.requests import Request, Requests
from eventbus.stages.parallel import at_once
from eventbus.stages.targets import names_set, put
from eventbus.telemetry import metrics

__all__ = ["HttpLookup"]


class HttpLookup:
    """Asks a web service about events.

    Args:
        options: What is asked for, and where the answer goes.
        context: What every stage is given.
    """

    name = "http_lookup"
    waits = True
    Options = HttpLookupOptions

    def __init__(self, options: HttpLookupOptions, context: StageContext) -> None:
        self._options = options
        self._context = context
        self._requests = Requests(options, context)
        self._asker = Asker(options, self._requests, context)
        self._tree = tree_of(options.fields) if options.fields else None
        self._known = Known(options.cache)

    @staticmethod
    def sets(options: HttpLookupOptions) -> Iterator[str]:
        """The name that its events have from there on, if it is one."""
        return names_set([options.into])

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `eventbus.sdk.Stage`."""
        done = list(slots)
        wishes: list[tuple[int, View, Request | None]] = []
        for place, slot in enumerate(slots):
            if isinstance(slot, Event):
                try:
                    wishes.append((place, self._context.views.of(slot), self._requests.request(slot)))
                except (EncodingError, StageError) as error:
                    done[place] = Parked(slot, str(error))
        answers = await self._answers([request for _, _, request in wishes if request is not None])
        for place, view, request in wishes:
            done[place] = self._answered(view, answers[request] if request is not None else None)
        return done

    async def close(self) -> None:
        """Close all connections."""
        self._asker.close()

    async def _answers(self, requests: Sequence[Request]) -> Mapping[Request, Answer]:
        """The answers to some questions, each of which is asked once if it is not known."""
        answers = {request: self._known.answer(request) for request in requests}
        unknown = [request for request, answer in answers.items() if answer is None]
        try:
            asked = await at_once(unknown, self._options.concurrency, self._asked)
        except Unreachable:
            raise
        except BaseException:
            self._known.done(requests)
            raise
        self._known.done(requests)
        self._count(len(answers) - len(unknown), asked)
        known = {request: answer for request, answer in answers.items() if answer is not None}
        return known | dict(zip(unknown, asked, strict=True))

    async def _asked(self, request: Request) -> Answer:
        answer = await self._asker.ask(request)
        self._known.keep(request, answer)
        return answer

    def _answered(self, view: View, answer: Answer | None) -> Slot:
        """What becomes of an event by the answer to its question; None if it has none."""
        event, options = view.event, self._options
        match answer:
            case Found(value):
                return self._put(view, value)
            case Refused(reason):
                return Parked(event, f"{self._requests.shown}: {reason}")
            case Away(reason) if options.unavailable == "park":
                return Parked(event, f"{self._requests.shown}: {reason}")
            case Missing() | None if options.missing == "skip":
                return Filtered(event)
            case Missing() | None if options.missing == "park":
                what = "nothing is found" if answer is not None else "the event lacks a value of the url"
                return Parked(event, f"{self._requests.shown}: {what}")
            case Missing() | Away() | None:
                return self._put(view, None)
        assert_never(answer)

    def _put(self, view: View, value: Any) -> Slot:
        try:
            return put(view, {self._options.into: self._chosen(value)})
        except (StageError, EncodingError) as error:
            return Parked(view.event, str(error))

    def _chosen(self, value: Any) -> Any:
        if self._tree is None or value is None:
            return value
        if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
            return [only(one, self._tree) for one in value]
        if not isinstance(value, Mapping):
            raise StageError(f"{self._requests.shown}: the answer is no object that could have fields")
        return only(value, self._tree)

    def _count(self, cached: int, asked: Sequence[Answer]) -> None:
        kinds = Counter(type(answer) for answer in asked)
        metrics.looked_up(
            self._context.subscription,
            self._context.label,
            cached=cached,
            found=kinds[Found],
            missing=kinds[Missing],
            refused=kinds[Refused],
            unavailable=kinds[Away],
        )
