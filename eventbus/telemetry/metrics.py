"""Every metric, moved by named functions. Labels are bounded by the configuration, never by the data."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from eventbus.model import (
    DELIVERED,
    Batch,
    Delivered,
    Event,
    Failure,
    Fault,
    Message,
    Operation,
    Outcome,
    Position,
    Rejected,
    Snapshot,
)
from eventbus.telemetry.weighted import WeightedHistogram

__all__ = [
    "REGISTRY",
    "ClientMetrics",
    "RouteMetrics",
    "Tally",
    "api_request",
    "build_info",
    "config_loaded",
    "configuration_info",
    "dead_letter_forwarded",
    "dead_letter_forwarding_failed",
    "dead_letters_dropped",
    "dead_letters_purged",
    "duplicate_dropped",
    "events_read",
    "forget",
    "gap_recorded",
    "headroom",
    "heartbeat_written",
    "lease_held",
    "looked_up",
    "lookups_missing",
    "loop_delayed",
    "notice_ended",
    "observe_notices",
    "position_lost",
    "reader_recovered",
    "reader_reopened",
    "readers_open",
    "reload_ended",
    "route_detached",
    "route_paused_by_sink",
    "rule_failed",
    "sink_concurrency",
    "snapshot_read",
    "stage_waited",
    "state_saved",
    "subscription_restarted",
    "taken_over",
]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
_FAMILIES: list[tuple[Counter | Gauge | Histogram, frozenset[str]]] = []
"""All of them, each with the names of its labels."""

_F = TypeVar("_F", Counter, Gauge, Histogram, WeightedHistogram)

_ROUTE = ("subscription", "route")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG_SECONDS = (*_SECONDS, 60.0, 300.0, 1800.0, 7200.0, 43200.0)


def _counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    return _kept(Counter(f"eventbus_{name}", text, labels, registry=REGISTRY), labels)


def _gauge(name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
    return _kept(Gauge(f"eventbus_{name}", text, labels, registry=REGISTRY), labels)


def _histogram(name: str, text: str, labels: Sequence[str] = ()) -> Histogram:
    return _kept(Histogram(f"eventbus_{name}", text, labels, registry=REGISTRY, buckets=_SECONDS), labels)


def _kept(family: _F, labels: Sequence[str]) -> _F:
    _FAMILIES.append((family, frozenset(labels)))
    return family


def _weighted(name: str, text: str, buckets: Sequence[float] = _LONG_SECONDS) -> WeightedHistogram:
    return _kept(
        WeightedHistogram(f"eventbus_{name}", text, _ROUTE, registry=REGISTRY, buckets=buckets), _ROUTE
    )


_spans = _counter("spans_exported", "Spans that the collector took, or that are lost", ["result"])
_events_read = _counter("events_read", "Changes read from the source", ["subscription"])
_bytes_read = _counter("bytes_read", "Bytes of the changes read from the source", ["subscription"])
_reopened = _counter(
    "reader_reopened", "Streams opened again, by what made it necessary", ["subscription", "reaction"]
)
_recovery_seconds = _histogram(
    "reader_recovery_seconds", "Time from a failed poll to the next good one", ["subscription"]
)
_lookups_missing = _counter(
    "lookups_missing", "Updates whose document was gone when it was looked up", ["subscription", "policy"]
)
_stage_lookups = _counter(
    "stage_lookups", "What stages looked up, by where it was found", ["subscription", "stage", "result"]
)
_stage_waits = _counter(
    "stage_waits", "Tries of a stage in vain, since what it needs was away", ["subscription", "stage"]
)
_rules_failed = _counter(
    "rules_failed", "Events that do not keep a rule of a stage", ["subscription", "stage", "rule"]
)
_duplicates_dropped = _counter(
    "duplicates_dropped", "Events that a stage dropped for saying nothing new", ["subscription", "stage"]
)
_documents_read = _counter(
    "snapshot_documents_read", "Documents read by snapshots, filtered ones included", ["subscription"]
)
_chunks_read = _counter("snapshot_chunks_read", "Ranges of keys in which snapshots read", ["subscription"])
_events_settled = _counter("events_settled", "Events that found their end, by outcome", [*_ROUTE, "outcome"])
_attempts_failed = _counter(
    "attempts_failed", "Messages whose attempt failed, by whose fault and by kind", [*_ROUTE, "fault", "kind"]
)
_dead_letters = _counter("dead_letters", "Events that became dead letters, by kind", [*_ROUTE, "kind"])
_send_seconds = _histogram("send_seconds", "Time of one call to the sink", _ROUTE)
_commit_to_read = _weighted("commit_to_read_seconds", "Time from the commit of a change until it was read")
_read_to_send = _weighted("read_to_send_seconds", "Time from there until the call began that delivered it")
_send_to_acknowledged = _weighted(
    "send_to_acknowledged_seconds", "Time that the call took which delivered it", _SECONDS
)
_end_to_end = _weighted("end_to_end_seconds", "Time from the commit of a change until its sink had it")
_bytes_sent = _counter("bytes_sent", "Bytes of the messages of attempts, by outcome", [*_ROUTE, "outcome"])
_limit_wait = _counter("limit_wait_seconds", "Time that calls waited for a rate or a concurrency", _ROUTE)
_window_events = _gauge("window_events", "Events between the watermark and the last admitted one", _ROUTE)
_window_bytes = _gauge("window_bytes", "Bytes of the events in the window", _ROUTE)
_watermark = _gauge("watermark_timestamp_seconds", "Cluster time up to which everything is settled", _ROUTE)
_saved = _gauge("saved_position_timestamp_seconds", "Cluster time of the position that is stored", _ROUTE)
_circuit = _gauge("circuit_state", "0 closed, 1 half open, 2 open", _ROUTE)
_park_failures = _counter("dead_letter_write_failures", "Tries to store a dead letter that failed", _ROUTE)
_purged = _counter("dead_letters_purged", "Dead letters removed because they had expired")
_dropped = _counter("dead_letters_dropped", "Dead letters removed to make room for newer ones")
_saves = _counter("checkpoints", "Writes of positions and leases, by result", ["result"])
_save_seconds = _histogram("checkpoint_seconds", "Time of one write of positions and leases")
_lease = _gauge("lease_held", "Whether this daemon runs the subscription", ["subscription"])
_restarts = _counter("subscription_restarts", "Subscriptions started again after a fault", ["subscription"])
_forwarded = _counter(
    "dead_letters_forwarded", "Copies for the dead-letter sink, by outcome", [*_ROUTE, "outcome"]
)
_forwarding_failures = _counter(
    "dead_letter_forwarding_failures",
    "Copies for the dead-letter sink whose attempt failed, and tries to connect to it in vain, by kind",
    [*_ROUTE, "kind"],
)
_readers = _gauge("readers_open", "Readers of the source that are open or closing", ["subscription"])
_detached = _counter("route_detached", "Times that a route left its flow", _ROUTE)
_lost = _counter("position_lost", "Times that the source had lost a route's position", _ROUTE)
_api_requests = _counter(
    "api_requests",
    "Requests to the admin API that had a token, by operation and status",
    ["operation", "status"],
)
_heartbeats = _counter("heartbeats", "Updates of the heartbeat document, by result", ["result"])
_connections_open = _gauge("mongodb_connections_open", "Connections to MongoDB that are open", ["client"])
_connections_in_use = _gauge("mongodb_connections_in_use", "Connections to MongoDB in use", ["client"])
_checkouts_failed = _counter(
    "mongodb_checkouts_failed", "Times that no connection to MongoDB was to be had", ["client", "reason"]
)
_pools_cleared = _counter(
    "mongodb_pools_cleared", "Times that all connections to a member of MongoDB were given up", ["client"]
)
_checks_failed = _counter(
    "mongodb_server_checks_failed", "Times that a member of MongoDB did not say how it is", ["client"]
)
_topology_changes = _counter(
    "mongodb_topology_changes", "Times that members of MongoDB came, went or changed their role", ["client"]
)
_snapshot_read = _gauge(
    "snapshot_read_documents", "Documents of the snapshot under way that found their end", _ROUTE
)
_snapshot_expected = _gauge(
    "snapshot_expected_documents", "Documents that the snapshot under way will read, by estimate", _ROUTE
)
_gaps = _counter("gaps", "Gaps that were recorded", _ROUTE)
_gap_seconds = _counter("gap_seconds", "Seconds of cluster time in recorded gaps", _ROUTE)
_headroom = _gauge(
    "headroom_seconds", "Cluster time between the watermark and the oldest change left", _ROUTE
)
_burn = _gauge("headroom_burn_rate", "Seconds of headroom that are lost each second", _ROUTE)
_left = _gauge("headroom_left_seconds", "Seconds until the position is lost at that rate", _ROUTE)
_paused_by_sink = _counter(
    "route_paused_by_sink", "Times that a route was paused without an operator", _ROUTE
)
_takeovers = _counter(
    "takeovers",
    "Routes that were taken over in their target, by how its position compares with ours",
    [*_ROUTE, "found"],
)
_concurrency = _gauge("sink_concurrency", "Calls at once that an adaptive sink allows now", ["sink"])
_reloads = _counter("reloads", "Reloads of the configuration, by result", ["result"])
_reloaded_at = _gauge(
    "config_last_reload_success_timestamp_seconds", "When the configuration in force was read"
)
_reload_successful = _gauge(
    "config_last_reload_successful", "1, or 0 while the last reload of the configuration was refused"
)
_notices = _counter("notices", "Notices that found their end, by kind and outcome", ["kind", "outcome"])
_notices_waiting = _gauge("notices_waiting", "Notices that wait to be sent")
_build = _gauge("build_info", "The version that runs, as a label", ["version"])
_configuration = _gauge(
    "config_info", "The version of the configuration of each route, as a label", [*_ROUTE, "version"]
)
_loop_delay = _histogram("event_loop_delay_seconds", "How late a task is woken that has slept")


def build_info(version: str) -> None:
    """Publish the version."""
    _build.labels(version).set(1)


def configuration_info(subscription: str, versions: Mapping[str, str]) -> None:
    """Publish the version of what was written for each route of a subscription."""
    for route, version in versions.items():
        _configuration.labels(subscription, route, version).set(1)


def loop_delayed(seconds: float) -> None:
    """The event loop woke a task so late."""
    _loop_delay.observe(seconds)


def notice_ended(kind: str, outcome: str) -> None:
    """A notice was sent, refused, dropped, suppressed or given up."""
    _notices.labels(kind, outcome).inc()


def observe_notices(waiting: Callable[[], float]) -> None:
    """Read at every scrape how many notices wait."""
    _notices_waiting.set_function(waiting)


def config_loaded(timestamp: float) -> None:
    """A configuration is in force, that of the start or of a reload."""
    _reloaded_at.set(timestamp)
    _reload_successful.set(1)


def reload_ended(result: str) -> None:
    """A reload was applied, changed nothing or was refused."""
    _reloads.labels(result).inc()
    if result == "refused":
        _reload_successful.set(0)


def forget(**labels: str) -> None:
    """Remove every series that carries all these labels: what they name is no more."""
    for family, names in _FAMILIES:
        if labels.keys() <= names:
            family.remove_by_labels(labels)


def events_read(subscription: str, batch: Batch) -> None:
    """A poll returned changes."""
    if batch.slots:
        _events_read.labels(subscription).inc(len(batch))
        _bytes_read.labels(subscription).inc(batch.sizes[-1])


def reader_reopened(subscription: str, reaction: str) -> None:
    """A stream had to be opened again."""
    _reopened.labels(subscription, reaction).inc()


def reader_recovered(subscription: str, seconds: float) -> None:
    """A stream that broke off is read again."""
    _recovery_seconds.labels(subscription).observe(seconds)


def api_request(operation: str, status: int) -> None:
    """The admin API answered."""
    _api_requests.labels(operation, str(status)).inc()


def heartbeat_written(*, ok: bool) -> None:
    """The heartbeat document was updated, or could not be."""
    _heartbeats.labels("ok" if ok else "failed").inc()


def looked_up(subscription: str, stage: str, **results: int) -> None:
    """A stage looked something up: how much it knew, how much it was told, and so on, by result."""
    for result, count in results.items():
        _stage_lookups.labels(subscription, stage, result).inc(count)


def duplicate_dropped(subscription: str, stage: str) -> None:
    """An event says what an earlier one said."""
    _duplicates_dropped.labels(subscription, stage).inc()


def rule_failed(subscription: str, stage: str, rule: str) -> None:
    """An event does not keep a rule."""
    _rules_failed.labels(subscription, stage, rule).inc()


def stage_waited(subscription: str, stage: str) -> None:
    """A stage can do nothing since what it needs is away; it will try again."""
    _stage_waits.labels(subscription, stage).inc()


def lookups_missing(subscription: str, policy: str, count: int) -> None:
    """The server found no document for these updates."""
    _lookups_missing.labels(subscription, policy).inc(count)


def snapshot_read(subscription: str, documents: int, chunks: int) -> None:
    """A snapshot read documents at one place of the stream."""
    _documents_read.labels(subscription).inc(documents)
    _chunks_read.labels(subscription).inc(chunks)


def dead_letters_purged(count: int) -> None:
    """Dead letters were removed because they had expired."""
    _purged.inc(count)


def spans_exported(count: int, *, ok: bool) -> None:
    """Spans were handed to the collector, or lost."""
    _spans.labels("ok" if ok else "failed").inc(count)


def state_saved(seconds: float, *, ok: bool) -> None:
    """A write of positions and leases ended."""
    _saves.labels("ok" if ok else "failed").inc()
    if ok:
        _save_seconds.observe(seconds)


def dead_letters_dropped(count: int) -> None:
    """The oldest dead letters were removed to make room for newer ones."""
    _dropped.inc(count)


def lease_held(subscription: str, *, held: bool) -> None:
    """A lease was taken, given back or lost."""
    _lease.labels(subscription).set(held)


def subscription_restarted(subscription: str) -> None:
    """A subscription crashed and is started again."""
    _restarts.labels(subscription).inc()


def dead_letter_forwarded(subscription: str, route: str, outcome: str) -> None:
    """The dead-letter sink has a copy, or refused it for good."""
    _forwarded.labels(subscription, route, outcome).inc()


def dead_letter_forwarding_failed(subscription: str, route: str, kind: Failure) -> None:
    """A try to give a copy to the dead-letter sink, or to connect to it, failed; there will be another."""
    _forwarding_failures.labels(subscription, route, kind.value).inc()


def readers_open(subscription: str, count: int) -> None:
    """A reader was opened, or its closing has ended."""
    _readers.labels(subscription).set(count)


def route_detached(subscription: str, route: str) -> None:
    """A route left its flow, which goes on without it."""
    _detached.labels(subscription, route).inc()


def position_lost(subscription: str, route: str) -> None:
    """The source no longer has what a route needs next."""
    _lost.labels(subscription, route).inc()


class ClientMetrics:
    """The metrics of one client of MongoDB, bound to its name once."""

    def __init__(self, client: str) -> None:
        self._client = client
        self._open = _connections_open.labels(client)
        self._in_use = _connections_in_use.labels(client)
        self._cleared = _pools_cleared.labels(client)
        self._checks_failed = _checks_failed.labels(client)
        self._changes = _topology_changes.labels(client)

    def connection_opened(self) -> None:
        """A connection was made."""
        self._open.inc()

    def connection_gone(self) -> None:
        """A connection was closed, by whomever."""
        self._open.dec()

    def connection_taken(self) -> None:
        """An operation has a connection to itself."""
        self._in_use.inc()

    def connection_returned(self) -> None:
        """The operation has given it back."""
        self._in_use.dec()

    def checkout_failed(self, reason: str) -> None:
        """An operation got no connection."""
        _checkouts_failed.labels(self._client, reason).inc()

    def connections_dropped(self) -> None:
        """All connections to a member were given up, since one of them failed."""
        self._cleared.inc()

    def server_check_failed(self) -> None:
        """A member did not answer when the driver asked how it is."""
        self._checks_failed.inc()

    def topology_changed(self) -> None:
        """Members came, went or changed their role."""
        self._changes.inc()


def gap_recorded(subscription: str, route: str, *, is_new: bool, seconds: float) -> None:
    """What a route will not be given was recorded, or turned out to be more."""
    _gaps.labels(subscription, route).inc(is_new)
    _gap_seconds.labels(subscription, route).inc(seconds)


def headroom(subscription: str, route: str, *, seconds: float, burn_rate: float, left_seconds: float) -> None:
    """It was looked how far a route is ahead of what the source forgets."""
    _headroom.labels(subscription, route).set(seconds)
    _burn.labels(subscription, route).set(burn_rate)
    _left.labels(subscription, route).set(left_seconds)


def route_paused_by_sink(subscription: str, route: str) -> None:
    """A route is paused since its sink wants nothing more, or has failed for too long."""
    _paused_by_sink.labels(subscription, route).inc()


def taken_over(subscription: str, route: str, found: str) -> None:
    """A target was asked for the position that it keeps of a route."""
    _takeovers.labels(subscription, route, found).inc()


def sink_concurrency(sink: str, limit: int) -> None:
    """An adaptive sink allows more calls at once, or fewer."""
    _concurrency.labels(sink).set(limit)


@dataclass(slots=True)
class Tally:
    """What one route has settled since it was made, by outcome."""

    delivered: int = 0
    parked: int = 0
    filtered: int = 0


class RouteMetrics:
    """The metrics of one route, bound to its labels once; and its own tally, which is no metric."""

    def __init__(self, subscription: str, route: str) -> None:
        self.tally = Tally()
        labels = (subscription, route)
        self._delivered = _events_settled.labels(*labels, "delivered")
        self._parked = _events_settled.labels(*labels, "parked")
        self._filtered = _events_settled.labels(*labels, "filtered")
        self._labels = labels
        self._send_seconds = _send_seconds.labels(*labels)
        self._bytes_delivered = _bytes_sent.labels(*labels, "delivered")
        self._bytes_failed = _bytes_sent.labels(*labels, "failed")
        self._bytes_rejected = _bytes_sent.labels(*labels, "rejected")
        self._commit_to_read = _commit_to_read.labels(*labels)
        self._read_to_send = _read_to_send.labels(*labels)
        self._send_to_acknowledged = _send_to_acknowledged.labels(*labels)
        self._end_to_end = _end_to_end.labels(*labels)
        self._saved = _saved.labels(*labels)
        self._limit_wait = _limit_wait.labels(*labels)
        self._park_failures = _park_failures.labels(*labels)
        self._watermark = _watermark.labels(*labels)
        self._window_events = _window_events.labels(*labels)
        self._window_bytes = _window_bytes.labels(*labels)
        self._circuit = _circuit.labels(*labels)
        self._snapshot_read = _snapshot_read.labels(*labels)
        self._snapshot_expected = _snapshot_expected.labels(*labels)

    def delivered(self, count: int) -> None:
        """The sink has these events."""
        self._delivered.inc(count)
        self.tally.delivered += count

    def parked(self, kind: Failure) -> None:
        """An event became a dead letter."""
        self._parked.inc()
        self.tally.parked += 1
        _dead_letters.labels(*self._labels, kind.value).inc()

    def filtered(self, count: int) -> None:
        """Stages dropped these events."""
        self._filtered.inc(count)
        self.tally.filtered += count

    def sent(self, seconds: float, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """A call to the sink ended; with one outcome for each message, unless one stands for all."""
        self._send_seconds.observe(seconds)
        if outcomes.count(DELIVERED) == len(messages):
            self._bytes_delivered.inc(sum([len(message.body) for message in messages]))
        elif len(outcomes) != len(messages):
            self._bytes_failed.inc(sum([len(message.body) for message in messages]))
        else:
            for message, outcome in zip(messages, outcomes, strict=True):
                self._bytes_of(outcome).inc(len(message.body))

    def _bytes_of(self, outcome: Outcome) -> Counter:
        if isinstance(outcome, Delivered):
            return self._bytes_delivered
        return self._bytes_rejected if isinstance(outcome, Rejected) else self._bytes_failed

    def reached(self, event: Event, waited_secs: float, sent_secs: float, count: int) -> None:
        """A call delivered so many changes.

        What a snapshot reads has no commit, and what the daemon says itself has none either.

        Args:
            event: The first of them; the others are taken to be as old.
            waited_secs: From when it was read until the call began.
            sent_secs: How long the call took.
            count: How many there were.
        """
        if event.operation == Operation.READ or event.is_own or not event.time_ms:
            return
        read_secs = max(0.0, time.time() - event.time_ms / 1000 - waited_secs - sent_secs)
        self._commit_to_read.observe_many(read_secs, count)
        self._read_to_send.observe_many(waited_secs, count)
        self._send_to_acknowledged.observe_many(sent_secs, count)
        self._end_to_end.observe_many(read_secs + waited_secs + sent_secs, count)

    def saved(self, position: Position) -> None:
        """A position is stored: a restart would go on from there."""
        if position.cluster_time is not None:
            self._saved.set(position.cluster_time.seconds)

    def waited_for_limit(self, seconds: float) -> None:
        """A call waited for its rate and its place."""
        self._limit_wait.inc(seconds)

    def failed(self, fault: Fault, kind: Failure) -> None:
        """An attempt for one message failed."""
        _attempts_failed.labels(*self._labels, fault.value, kind.value).inc()

    def park_failed(self) -> None:
        """The store did not take a dead letter."""
        self._park_failures.inc()

    def observe(
        self,
        *,
        watermark: Callable[[], float],
        events: Callable[[], float],
        size: Callable[[], float],
        circuit: Callable[[], float],
        snapshot: Callable[[], Snapshot | None],
    ) -> None:
        """Read these at every scrape."""
        self._watermark.set_function(watermark)
        self._window_events.set_function(events)
        self._window_bytes.set_function(size)
        self._circuit.set_function(circuit)
        self._snapshot_read.set_function(lambda: float(found.read) if (found := snapshot()) else 0.0)
        self._snapshot_expected.set_function(lambda: float(found.total) if (found := snapshot()) else 0.0)
