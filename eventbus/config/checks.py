"""Rules that tie several parts of a configuration together and so belong to no single model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from pydantic import BaseModel

from eventbus.config.models import CircuitPolicy, DaemonSection, EncodingPolicy, RetryPolicy, RouteSection
from eventbus.config.nodes import MappingNode, Node, Path, Place, ScalarNode, descend, written
from eventbus.config.problems import Problems
from eventbus.config.resolved import ResolvedRoute, ResolvedSink, ResolvedSubscription
from eventbus.encoding.choice import contradictions
from eventbus.encoding.notices import NoticeEncoder, notice_event
from eventbus.errors import ConfigurationError
from eventbus.sdk import Carries, Rejected, TransactionalSink
from eventbus.suggestions import did_you_mean, listed

__all__ = [
    "claims_have_a_place",
    "dead_letter_sink_is_another",
    "dead_letter_sink_is_declared",
    "encoding_fits_source",
    "encoding_is_possible",
    "exactly_once_is_possible",
    "lease_outlasts_attempts",
    "notices_have_a_sink",
    "ordering_is_possible",
    "policies_are_sound",
    "routes_are_distinct",
    "sink_is_declared",
]


def sink_is_declared(sink: Node, path: Path, declared: Collection[str], problems: Problems) -> None:
    """A route leads to a sink that the configuration has."""
    if not isinstance(sink, ScalarNode) or not isinstance(sink.value, str) or sink.value in declared:
        return  # what is no text is reported by the model
    guess = "" if sink.substitution else did_you_mean(sink.value, declared)
    message = f"sink {written(sink)} is not declared{guess} (declared sinks: {listed(declared)})"
    problems.add(sink.place, path, message)


def dead_letter_sink_is_declared(
    given: MappingNode, path: Path, declared: Collection[str], problems: Problems
) -> None:
    """Copies of dead letters lead to a sink that the configuration has; asked of what `given` says itself."""
    sink = _dead_letter_sink(given)
    if sink is not None:
        sink_is_declared(sink, (*path, "dead_letters", "sink"), declared, problems)


def dead_letter_sink_is_another(
    sink: str | None, own: str, given: MappingNode, path: Path, problems: Problems
) -> None:
    """Copies of a route's dead letters do not lead to the sink that did not take their events."""
    if sink == own:
        message = f"{sink} is the route's own sink, which did not take them: name another, or null for none"
        place = (_dead_letter_sink(given) or given).place
        problems.add(place, (*path, "dead_letters", "sink"), message)


def _dead_letter_sink(given: MappingNode) -> Node | None:
    policy = descend(given, "dead_letters")
    return descend(policy, "sink") if policy is not None else None


def routes_are_distinct(routes: Sequence[tuple[str, Place, Path]], problems: Problems) -> None:
    """No two routes of a subscription have one name, since positions are kept by it."""
    first: dict[str, Place] = {}
    for name, place, path in routes:
        if name in first:
            other = first[name]
            where = f"{other.line}:{other.column}"
            message = f"the route at {where} has this name too, give one of them a 'name' of its own"
            problems.add(place, path, message)
        first.setdefault(name, place)


def policies_are_sound(
    retry: RetryPolicy, circuit: CircuitPolicy, given: MappingNode, path: Path, problems: Problems
) -> None:
    """What begins small is within its bound; asked of the policies that `given` sets, in whole or in part."""
    rules = (
        ("retry", "initial_delay", retry.initial_delay, "max_delay", retry.max_delay),
        ("circuit", "initial_open", circuit.initial_open, "max_open", circuit.max_open),
    )
    for policy, first, first_secs, longest, longest_secs in rules:
        if policy in given.keys and first_secs > longest_secs:
            message = f"{first} ({first_secs:g}s) is longer than {longest} ({longest_secs:g}s)"
            problems.add(given.keys[policy], (*path, policy), message)


def ordering_is_possible(route: RouteSection, given: MappingNode, path: Path, problems: Problems) -> None:
    """What else a route asks for goes together with the order that it promises."""
    rules = (
        ("none", "on_dead_letter", route.on_dead_letter == "hold_key", "keeps no order to hold a key in"),
        ("strict", "priority", route.priority is not None, "lets nothing go first"),
        ("strict", "lanes", (route.lanes or 1) > 1, "has one lane"),
    )
    for ordering, key, is_asked_for, why in rules:
        if route.ordering == ordering and is_asked_for:
            message = f"does not go together with ordering: {ordering}, which {why}"
            problems.add(given.keys[key], (*path, key), message)


def exactly_once_is_possible(
    route: RouteSection, sink: ResolvedSink, given: MappingNode, path: Path, problems: Problems
) -> None:
    """The sink of a route that is delivered exactly once has transactions, and the route one lane."""
    place = given.keys.get("delivery", given.place)
    try:
        made = sink.make(route.sink) if hasattr(sink.cls, "transactions") else None
    except ConfigurationError as error:
        problems.add(place, (*path, "delivery"), str(error))
        return
    if not isinstance(made, TransactionalSink):
        why = f"exactly_once needs transactions, which sinks of type {sink.type} have not"
        problems.add(place, (*path, "delivery"), why)
        return
    try:
        made.transactions(route.name or route.sink)
    except ConfigurationError as error:
        problems.add(place, (*path, "delivery"), str(error))
    for key, is_asked_for, why in (
        ("lanes", (route.lanes or 1) > 1, "has one lane"),
        ("priority", route.priority is not None, "lets nothing go first"),
    ):
        if is_asked_for:
            message = f"does not go together with delivery: exactly_once, which {why}"
            problems.add(given.keys[key], (*path, key), message)


def items_have_no_claims(
    route: RouteSection, encoding: EncodingPolicy, given: MappingNode, path: Path, problems: Problems
) -> None:
    """A claim refers to the content of an event, and not of one of its items."""
    if route.for_each is not None and encoding.claim_check is not None:
        message = "does not go together with a claim_check, which refers to an event as a whole"
        problems.add(given.keys["for_each"], (*path, "for_each"), message)


def encoding_is_possible(
    encoding: EncodingPolicy, carries: Carries, given: MappingNode, path: Path, problems: Problems
) -> None:
    """The form of a route's messages goes together, and into its sink; `given` is what was written of it."""
    own = descend(given, "encoding")
    for key, why in contradictions(encoding, carries):
        node = (descend(own, key) if own is not None else None) or own or given
        problems.add(node.place, (*path, "encoding", key), why)


def encoding_fits_source(
    source: BaseModel, routes: Sequence[ResolvedRoute], given: MappingNode, path: Path, problems: Problems
) -> None:
    """What routes make of changes is there in what the source gives.

    By convention a source's option ``full_document`` says ``default`` where updates come without their
    documents, and ``delta`` makes of what changed something else than MongoDB's own.
    """
    has_no_documents = getattr(source, "full_document", None) == "default"
    has_deltas = getattr(source, "delta", False) is True
    for index, route in enumerate(routes):
        encoding = route.encoding
        envelope = encoding.envelope if encoding.body is None else "body"
        place, where = _place(given, ("routes", index)), (*path, "routes", index, "encoding")
        if envelope == "document" and has_no_documents:
            why = "document needs the documents of updates: choose another full_document of the source"
            problems.add(place, (*where, "envelope"), why)
        if has_deltas and envelope in {"debezium", "change"}:
            problems.add(place, (*where, "envelope"), f"{envelope} has no place for the source's delta")
        if has_deltas and (encoding.fields or encoding.without):
            key = "fields" if encoding.fields else "without"
            problems.add(place, (*where, key), "cannot look into what the source's delta makes of a change")


def claims_have_a_place(
    subscriptions: Iterable[ResolvedSubscription], root: MappingNode, problems: Problems
) -> None:
    """No route has a claim check; asked where the state is a file, which no consumer could read."""
    for subscription in subscriptions:
        for index, route in enumerate(subscription.routes):
            if route.encoding.claim_check is not None:
                path: Path = ("subscriptions", subscription.name, "routes", index)
                why = "needs state of type mongodb, in whose database the content is stored"
                problems.add(_place(root, path), (*path, "encoding", "claim_check"), why)


def _place(root: MappingNode, path: Path) -> Place:
    """Where what is at a path begins, or what is closest above it."""
    node: Node = root
    for step in path:
        node = descend(node, step) or node
    return node.place


def lease_outlasts_attempts(
    daemon: DaemonSection, options: Mapping[str, BaseModel], root: MappingNode, problems: Problems
) -> None:
    """No attempt of a sink may outlive the lease, or two daemons would deliver at the same time.

    By convention a sink's option ``timeout`` bounds one attempt.
    """
    sinks = root.values.get("sinks")
    for name, sink_options in options.items():
        timeout = getattr(sink_options, "timeout", None)
        sink = descend(sinks, name) if sinks else None
        if sink is None or not isinstance(timeout, float) or timeout < daemon.lease:
            continue
        given = descend(sink, "timeout")
        message = (
            f"one attempt may take {timeout:g}s, which must be less than daemon.lease ({daemon.lease:g}s)"
        )
        problems.add((given or sink).place, ("sinks", name, "timeout"), message)


def notices_have_a_sink(
    name: str, sink: ResolvedSink | None, declared: Collection[str], given: Node, problems: Problems
) -> None:
    """Notices lead to a sink that the configuration has, and that takes what is no change of a document."""
    node, path = descend(given, "sink") or given, ("notices", "sink")
    sink_is_declared(node, path, declared, problems)
    if sink is None:
        return
    why = _why_no_notice(name, sink)
    if why is not None:
        problems.add(node.place, path, f"{name} takes no notices: {why}")


def _why_no_notice(name: str, sink: ResolvedSink) -> str | None:
    """Why a sink would not take a notice; asked with one."""
    names = {"subscription": "name", "route": "name", "sink": "name"}
    event = notice_event("id", 0, {"kind": "circuit_opened", **names}, time_secs=0.0)
    try:
        made = sink.make(name).encode(event, NoticeEncoder("name"))
    except Exception as error:  # noqa: BLE001 - the sink may be a plugin; its texts may be anything
        return f"it cannot write them ({type(error).__name__})"
    if isinstance(made, Rejected):
        return made.reason
    return None if made.body else "it keeps documents, and passes over what the daemon itself says"
