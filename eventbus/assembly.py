"""From a checked configuration to what the runtime runs: sinks, routes and subscriptions. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from eventbus.config import Config, MongoDBState, ResolvedRoute
from eventbus.config.models import PriorityPolicy, RegistryPolicy
from eventbus.config.pipelines import says
from eventbus.config.resolved import ResolvedStage, ResolvedSubscription
from eventbus.config.starts import start_time
from eventbus.core.circuit import CircuitPolicy
from eventbus.encoding.avro import RegisteredSchema
from eventbus.encoding.choice import Origin, depends_on_sink, encoder_of, schema_of
from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.encoding.dead_letters import copy_attributes, copy_headers
from eventbus.encoding.items import ItemsEncoder
from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, Event, Parked, Taken
from eventbus.runtime.arrangement import CatchUpPolicy
from eventbus.runtime.copies import CopiesTo
from eventbus.runtime.policy import Ordering, RetryPolicy, RoutePolicy
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.start import RouteStart
from eventbus.runtime.subscription import RouteSpec, SubscriptionSpec
from eventbus.runtime.work import work_secs
from eventbus.sdk import Carries, Collections, Encoder, Source, StageContext, Views, carried_by
from eventbus.sinks.claiming import ClaimingSink
from eventbus.sinks.fanning_out import FanOutSink
from eventbus.sinks.registering import RegisteringSink, SchemaRegistry
from eventbus.stages.admission import admission, preparation, transformation
from eventbus.stages.pipeline import Pipeline, Step, UnfinishedLetters
from eventbus.state.mongodb_claims import MongoClaims
from eventbus.state.store import StoredDeadLetter
from eventbus.tracing import trace_of_events

__all__ = [
    "pipeline_of",
    "policy_of",
    "route_policy",
    "shared_sink",
    "shared_sinks",
    "sink_parts",
    "spec_of",
    "stage_labels",
    "try_to_make",
]


def shared_sinks(config: Config) -> dict[str, SharedSink]:
    """Every declared sink, not yet open."""
    return {name: shared_sink(config, name) for name in config.sinks}


def shared_sink(config: Config, name: str) -> SharedSink:
    """One declared sink, not yet open."""
    sink = config.sinks[name]
    one = sink.make(name)
    if any(route.for_each is not None for _, route in _routes_into(config, name)):
        one = FanOutSink(one)
    if isinstance(config.state, MongoDBState) and _has_claims(config, name):
        one = ClaimingSink(one, _claims(config.state))
    if schemas := _schemas(config, name):
        one = RegisteringSink(one, schemas)
    return SharedSink(one, rate_per_sec=sink.rate, concurrency=sink.concurrency)


def try_to_make(config: Config) -> None:
    """Make each sink and each stage once, for nothing but to see that it can be done.

    Raises:
        ConfigurationError: All that cannot be made.
    """
    problems: list[str] = []
    for name, sink in config.sinks.items():
        with _noting(problems):
            sink.make(name)
    for name, declared in config.subscriptions.items():
        views = Views({"subscription": name, "service": declared.service})
        context = StageContext(name, declared.service, views)
        for stages in (declared.pipeline, *(route.pipeline for route in declared.routes)):
            with _noting(problems):
                pipeline_of(stages, context)
    if problems:
        raise ConfigurationError(*problems)


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        problems += error.problems


def sink_parts(config: Config, name: str) -> tuple[object, ...]:
    """All that a declared sink is made from, to be compared with that of another configuration."""
    routes = list(_routes_into(config, name))
    return (
        config.sinks[name],
        any(route.for_each is not None for _, route in routes),
        _has_claims(config, name),
        {
            (subscription, route.name): route.encoding
            for subscription, route in routes
            if route.encoding.registry is not None
        },
    )


def _routes_into(config: Config, sink: str) -> Iterator[tuple[str, ResolvedRoute]]:
    """The routes of all subscriptions that lead to a sink, each with the name of its subscription."""
    for subscription in config.subscriptions.values():
        for route in subscription.routes:
            if route.sink == sink:
                yield subscription.name, route


def _has_claims(config: Config, sink: str) -> bool:
    return any(route.encoding.claim_check is not None for _, route in _routes_into(config, sink))


def _schemas(config: Config, sink: str) -> dict[tuple[str, str], tuple[RegisteredSchema, SchemaRegistry]]:
    found = {}
    for name, route in _routes_into(config, sink):
        registry = route.encoding.registry
        if registry is not None:
            schema = schema_of(route.encoding, name, registry.subject)
            found[name, route.name] = schema, _registry(registry)
    return found


def _registry(registry: RegistryPolicy) -> SchemaRegistry:
    login = None
    if registry.username is not None and registry.password is not None:
        login = registry.username, registry.password.get_secret_value()
    return SchemaRegistry(
        registry.url, login=login, registers=registry.register_schemas, timeout_secs=registry.timeout
    )


def _claims(state: MongoDBState) -> MongoClaims:
    uri = state.access.uri.get_secret_value()
    return MongoClaims(uri, database=state.database, instance="", settings=state.access.settings)


def spec_of(
    config: Config,
    name: str,
    source: Source,
    sinks: Mapping[str, SharedSink],
    *,
    drain_timeout_secs: float,
    collections: Collections | None = None,
) -> SubscriptionSpec:
    """What a subscription is made from; to be closed."""
    declared = config.subscriptions[name]
    views = Views({"subscription": name, "service": declared.service})
    origin = Origin(name, declared.service, trace_of=trace_of_events(config))
    encoders = _Encoders(origin, views)
    context = StageContext(name, declared.service, views, collections)
    routes = {
        route.name: RouteSpec(
            sinks[route.sink],
            encoders.encoder(route, sinks[route.sink]),
            route_policy(route, context),
            partial(encoders.replay_encoder, route, sinks[route.sink]),
            _start(route.start),
            _copies_to(declared, route, sinks),
            exactly_once=route.exactly_once,
            is_critical=route.critical,
        )
        for route in declared.routes
    }
    catch_up = declared.catch_up
    pipeline = pipeline_of(declared.pipeline, context)
    return SubscriptionSpec(
        name,
        source,
        routes,
        stages=[pipeline] if pipeline is not None else [],
        letter_stages=[UnfinishedLetters(pipeline)] if pipeline is not None else [],
        catch_up=CatchUpPolicy(
            isolate_after_secs=catch_up.isolate_after, max_readers=catch_up.max_readers, work_secs=work_secs
        ),
        drain_timeout_secs=drain_timeout_secs,
    )


def pipeline_of(stages: Sequence[ResolvedStage], context: StageContext) -> Pipeline | None:
    """A pipeline of the stages; None if there are none."""
    labels = stage_labels(stages)
    steps = [
        Step(label, stage.make(replace(context, label=label)), stage.on_error)
        for label, stage in zip(labels, stages, strict=True)
    ]
    return Pipeline(context.subscription, steps) if steps else None


def stage_labels(stages: Sequence[ResolvedStage]) -> list[str]:
    """What the stages of a pipeline are called in messages and metrics."""
    return [stage.name or f"{stage.type} ({place})" for place, stage in enumerate(stages, start=1)]


def route_policy(route: ResolvedRoute, context: StageContext) -> RoutePolicy:
    """What a route is told, with what it asks of its events."""
    pipeline = pipeline_of(route.pipeline, context)
    remembers = any(says(stage.cls, "remembers", stage.options) for stage in route.pipeline)
    return replace(
        policy_of(route),
        when=admission(route.when, context.views) if route.when is not None else None,
        transform=transformation(pipeline) if pipeline is not None and not remembers else None,
        prepare=partial(_prepare, route.pipeline, context) if remembers else None,
    )


def _prepare(
    stages: Sequence[ResolvedStage], context: StageContext
) -> Callable[[Sequence[Event | Parked]], Sequence[Taken]]:
    pipeline = pipeline_of(stages, context)
    assert pipeline is not None
    return preparation(pipeline)


class _Encoders:
    """The encoders of one subscription: routes of equal encoding share one, and so its work."""

    def __init__(self, origin: Origin, views: Views) -> None:
        self._origin = origin
        self._views = views
        self._made: dict[tuple[str, Carries | None], Encoder] = {}

    def encoder(self, route: ResolvedRoute, sink: SharedSink) -> Encoder:
        return self._for_each(route, self._shared(route, sink))

    def _for_each(self, route: ResolvedRoute, encoder: Encoder) -> Encoder:
        return encoder if route.for_each is None else ItemsEncoder(encoder, route.for_each, self._views)

    def _shared(self, route: ResolvedRoute, sink: SharedSink) -> Encoder:
        encoding, carries = route.encoding, carried_by(sink.sink)
        if encoding.format == "avro":  # its schema is registered for this sink
            return self._encoder(route, sink, self._origin)
        key = (encoding.model_dump_json(), carries if depends_on_sink(encoding) else None)
        if key not in self._made:
            self._made[key] = self._encoder(route, sink, self._origin)
        return self._made[key]

    def replay_encoder(self, route: ResolvedRoute, sink: SharedSink, operation: str) -> Encoder:
        encoder = self._encoder(route, sink, replace(self._origin, replay=operation))
        return self._for_each(route, encoder)

    def _encoder(self, route: ResolvedRoute, sink: SharedSink, origin: Origin) -> Encoder:
        schema = None
        if isinstance(sink.sink, RegisteringSink):
            schema = sink.sink.schema(origin.subscription, route.name)
        return encoder_of(route.encoding, origin, carried_by(sink.sink), schema)


def policy_of(route: ResolvedRoute) -> RoutePolicy:
    """What a route is told of its configuration."""
    retry, circuit, window, batch = route.retry, route.circuit, route.window, route.batch
    return RoutePolicy(
        retry=RetryPolicy(retry.attempts, retry.initial_delay, retry.max_delay, retry.max_age),
        circuit=CircuitPolicy(circuit.failures, circuit.initial_open, circuit.max_open, circuit.pause_after),
        window_events=window.events,
        window_size=window.size,
        lanes=route.lanes,
        batch_events=batch.events,
        batch_size=batch.size,
        batch_wait_secs=batch.wait,
        priority=_is_urgent(route.priority) if route.priority is not None else None,
        ordering=Ordering(route.ordering),
        rate_per_sec=route.rate,
        concurrency=route.concurrency,
        holds_keys=route.holds_keys,
        config=route.version,
        letter_retention_secs=route.dead_letters.retention,
        watermark_every_secs=route.watermark_every,
    )


def _start(written: str) -> RouteStart:
    match written:
        case "now" | "oldest" | "subscription":
            return RouteStart(written)
    seconds = start_time(written)
    if seconds is None:
        return RouteStart("token", token=written)
    return RouteStart("time", time=ClusterTime(seconds, 0))


def _is_urgent(priority: PriorityPolicy) -> Callable[[Event], bool]:
    operations, collections = frozenset(priority.operations or ()), frozenset(priority.collections or ())

    def is_urgent(event: Event) -> bool:
        of_operation = not operations or event.operation in operations
        return of_operation and (not collections or event.collection in collections)

    return is_urgent


def _copies_to(
    declared: ResolvedSubscription, route: ResolvedRoute, sinks: Mapping[str, SharedSink]
) -> CopiesTo | None:
    if route.dead_letters.sink is None:
        return None
    subscription, service = declared.name, declared.service

    def encoder_of(stored: StoredDeadLetter, omitted: str) -> tuple[Encoder, Sequence[tuple[str, bytes]]]:
        attributes = copy_attributes(stored.letter, stored.id, omitted=omitted)
        headers = copy_headers(stored.letter, stored.id, sink=route.sink)
        return CloudEventsEncoder(subscription, service, extensions=attributes), headers

    return CopiesTo(sinks[route.dead_letters.sink], encoder_of, _why_omitted(declared, route))


def _why_omitted(declared: ResolvedSubscription, route: ResolvedRoute) -> str:
    """Why copies of a route's dead letters have no documents.

    A dead letter is what the source gave: nothing that a stage or the encoding hides from the route's own
    sink may reach another one by it.
    """
    wanted = route.dead_letters.documents
    if wanted == "never":
        return "dead_letters.documents is never"
    if wanted == "always":
        return ""
    hiding = next(
        (
            stage.type
            for stage in (*declared.pipeline, *route.pipeline)
            if says(stage.cls, "hides", stage.options)
        ),
        None,
    )
    if hiding is not None:
        return f"a stage {hiding} of the route hides fields"
    return (
        "the encoding of the route leaves fields out"
        if route.encoding.fields or route.encoding.without
        else ""
    )
