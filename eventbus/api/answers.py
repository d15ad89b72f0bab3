"""What the admin API answers, as models: rows as the command line prints them with ``--json``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from eventbus.api.endpoints import Answer

__all__ = [
    "Changed",
    "Configuration",
    "DeadLetter",
    "DeadLetters",
    "Gap",
    "Gaps",
    "Move",
    "Operation",
    "Operations",
    "Pause",
    "Position",
    "Positions",
    "Replay",
    "Resending",
    "RouteStatus",
    "Sink",
    "SinkTest",
    "Sinks",
    "Snapshot",
    "SubscriptionStatus",
    "Subscriptions",
    "Totals",
    "Version",
]


class Version(Answer):
    """What runs here, and since when."""

    version: str
    """Of eventbus."""
    python: str
    """Of Python."""
    libraries: dict[str, str]
    """Of the libraries that talk to servers."""
    instance: str
    """Name of the daemon."""
    started_at: str
    """When it was started."""


class Reload(Answer):
    """What a reload did."""

    result: Literal["applied", "unchanged", "under_way"]
    """unchanged if the files say what is in force; under_way if it takes longer than a request may."""
    added: list[str]
    """Subscriptions that were begun."""
    removed: list[str]
    """Subscriptions that drained and are no more; what is stored of them stays."""
    restarted: list[str]
    """Subscriptions that drained and were begun anew, at their positions."""
    sinks: list[str]
    """Sinks that were made, made anew or closed."""


class Configuration(Answer):
    """What the daemon runs: files joined, variables replaced, defaults filled in; no secret."""

    configuration: dict[str, Any]
    """The sections. What is or may be a secret is shown as ***."""


class RouteStatus(Answer):
    """How a route stands."""

    subscription: str
    """Name of its subscription."""
    route: str
    """Its name."""
    state: str
    """In a word or two: running, paused, circuit open, position lost and so on."""
    owner: str | None
    """The daemon that runs it; null if none does."""
    lag_secs: int | None
    """How long ago was committed what it has come to; null unless this daemon runs it."""
    position_age_secs: int | None
    """The same of its stored position."""
    headroom_secs: int | None
    """How far it is ahead of what MongoDB forgets."""
    left_secs: int | None
    """When its position will be lost at the present pace; null if never, or not known."""
    dead_letters: int
    """How many are parked."""
    gaps: int
    """How many it has."""
    why: str | None
    """Why it stands so."""
    next: str | None
    """What to type."""


class SubscriptionStatus(Answer):
    """How the routes of a subscription stand."""

    name: str
    """Its name."""
    service: str
    """The service whose changes it carries."""
    source: str
    """Type of its source."""
    routes: list[RouteStatus]
    """Its routes, in the order of the configuration."""


class Subscriptions(Answer):
    """How all routes stand."""

    subscriptions: list[SubscriptionStatus]
    """In the order of the configuration."""
    unknown: list[str]
    """What could not be found out, and so is left out, for people."""


class Position(Answer):
    """How far a route has come."""

    subscription: str
    """Name of its subscription."""
    route: str
    """Its name."""
    cluster_time: str | None = None
    """When what it came to was committed."""
    age_secs: int | None = None
    """How long ago that was."""
    paused: str | None
    """Why it is paused; null if it is not."""
    kind: str
    """How the source goes on from it."""
    token: str | None
    """The position as the source writes it; null if there is none yet."""


class Positions(Answer):
    """How far routes have come."""

    positions: list[Position]
    """In the order of the configuration."""


class Pause(Answer):
    """What became of a wish to pause or to resume."""

    subscription: str
    """Name of the subscription."""
    route: str | None
    """Name of the route; null if all of the subscription was meant."""
    paused: bool
    """Whether it is paused now, by itself."""
    changed: bool
    """Whether this request changed that."""
    reason: str | None
    """Why it is paused, or was until now."""
    others: dict[str, str]
    """Pauses of the same subscription that still hold, by route; * stands for all of them."""


class Gap(Answer):
    """What a route was never given."""

    id: str
    """Its id."""
    subscription: str
    """Name of the subscription."""
    route: str
    """Name of the route."""
    from_: str | None = Field(alias="from")
    """When it begins."""
    to: str | None
    """When it ends."""
    secs: int | None
    """How long it is."""
    policy: str
    """What was decided about it."""
    created_at: str | None
    """When it was recorded."""
    age_secs: int | None
    """How long ago that was."""
    reason: str
    """Why, for people."""
    from_token: str
    """Its beginning as the source writes it."""
    to_token: str
    """Its end as the source writes it."""


class Gaps(Answer):
    """What routes were never given."""

    gaps: list[Gap]
    """The newest first."""


class Operation(Answer):
    """What is sent beside the changes that come, or a move of a position."""

    id: str
    """Its id."""
    kind: str
    """replay, dead_letters, release, snapshot or move."""
    subscription: str
    """Name of the subscription."""
    route: str
    """Name of the route; * for several."""
    routes: list[str] | None
    """The routes whose dead letters are sent, or that get the documents."""
    status: str
    """waiting, running, done, failed or cancelled."""
    delivered: int
    """Events that the sink has."""
    parked: int
    """Events that became dead letters, or stayed such."""
    filtered: int
    """Events that were left out."""
    read: int | None
    """Documents that were read; of a snapshot only."""
    total: int | None
    """How many there are in all, where that is known."""
    per_sec: float | None
    """How many come each second at present."""
    left_secs: int | None
    """How long it will take at that pace."""
    through: list[str] | None
    """The routes that have all of them."""
    reached: str | None
    """Up to when everything is settled."""
    from_: str | None = Field(alias="from")
    """The position that it begins at."""
    to: str | None
    """The position that it ends at."""
    match: dict[str, Any] | None
    """The query over dead letters or documents."""
    collections: list[str] | None
    """The collections of a snapshot."""
    rate: float | None
    """The most events a second."""
    runner: str
    """Who runs it."""
    requested_by: str
    """Who asked for it."""
    created_at: str | None
    """When it was asked for."""
    updated_at: str | None
    """When it last moved."""
    age_secs: int | None
    """How long ago it was asked for."""
    problem: str | None
    """Why it failed."""


class Operations(Answer):
    """Operations."""

    operations: list[Operation]
    """The newest first, those that are over included."""


class Move(Answer):
    """A route that is to go on from another position."""

    from_: str = Field(alias="from")
    """Where it stands."""
    to: str
    """Where it goes on."""
    consequences: list[str]
    """What comes of that, for people."""
    operation: Operation | None
    """What was stored; null of a dry run."""


class Replay(Answer):
    """A stretch of the source's history that is sent once more."""

    from_: str = Field(alias="from")
    """Its beginning."""
    to: str
    """Its end."""
    remarks: list[str]
    """What to know about it, for people."""
    operation: Operation | None
    """What was stored; null of a dry run."""


class Snapshot(Answer):
    """Documents that are sent to live routes."""

    total: int | None
    """About how many there are."""
    routes: list[str]
    """Which routes get them."""
    remarks: list[str]
    """What to know about it, for people."""
    operation: Operation | None
    """What was stored; null of a dry run."""


class DeadLetter(Answer):
    """An event that was set aside with its reason."""

    id: str
    """Its id."""
    event_id: str
    """Id of the event."""
    subscription: str
    """Name of the subscription."""
    route: str
    """Name of the route, or of a replay."""
    operation: str
    """What happened to the document."""
    database: str
    """Its database."""
    collection: str
    """Its collection."""
    document_key: Any
    """What names the document, in relaxed Extended JSON."""
    key: str
    """The key of the event, as it is ordered by."""
    kind: str
    """The kind of failure."""
    reason: str
    """Why it was set aside."""
    attempts: int
    """How often it was tried."""
    errors: list[dict[str, str]]
    """The last failures: at, kind and reason."""
    size: int
    """Bytes of the event."""
    cluster_time: str | None
    """When it was committed, as seconds.increment."""
    token: str
    """Its position as the source writes it."""
    status: str
    """parked, replayed or discarded."""
    created_at: str
    """When it was parked."""
    expires_at: str | None
    """When it may be removed."""
    legal_hold: bool
    """Whether it is kept whatever its age."""
    held_behind: str | None
    """Id of the event that it waits behind."""
    superseded_by: str | None
    """Id of a newer event of its key that went out."""
    operation_id: str | None
    """The operation that last tried to send it."""
    forwarded: bool
    """Whether the route's dead-letter sink has a copy."""
    config: str
    """The version of the configuration that it comes from."""
    event: dict[str, Any] | None = None
    """The event with its documents, if that was asked for."""
    message: Any = None
    """The message that was made of it, if that was asked for."""


class DeadLetters(Answer):
    """Dead letters."""

    dead_letters: list[DeadLetter]
    """The oldest first."""
    more: bool
    """Whether there are more than were asked for."""


class Totals(Answer):
    """Dead letters in numbers."""

    letters: int
    """How many."""
    keys: int
    """How many different keys they have."""
    bytes: int
    """How large their events are in all."""
    superseded: int
    """Of how many a newer event of the key went out."""
    held: int
    """How many only wait behind another one."""
    legal_hold: int
    """How many are kept whatever their age."""


class Part(Totals):
    """Dead letters of one route that are sent once more."""

    subscription: str
    """Name of the subscription."""
    route: str
    """Name of the route, or of a replay."""


class Resending(Answer):
    """Dead letters that are sent once more."""

    parts: list[Part]
    """How many, by route."""
    remarks: list[str]
    """What to know about it, for people."""
    operations: list[Operation]
    """What was stored, one for each part; none of a dry run."""


class Changed(Answer):
    """How many dead letters were changed."""

    changed: int
    """How many."""


class Sink(Answer):
    """A target that is declared."""

    name: str
    """Its name."""
    type: str
    """Its type."""
    routes: list[str]
    """The routes into it, as subscription/route."""


class Sinks(Answer):
    """All targets."""

    sinks: list[Sink]
    """In the order of the configuration."""


class Step(Answer):
    """A step on the way to a target."""

    step: str
    """What was done."""
    ok: bool
    """Whether it went well."""
    seconds: float
    """How long it took."""
    detail: str
    """What came of it, for people."""


class SinkTest(Answer):
    """A marked event that was sent to a target."""

    verdict: Literal["delivered", "refused", "away"]
    """How it ended; away if a server does not answer."""
    steps: list[Step]
    """What was done, in order."""
