"""The sections that users write, as pydantic models; durations are seconds, sizes are bytes.

Only keys that something reads are here. What depends on the installed types of sinks and sources stays open
(`Any`) and is checked against the options of those types in `resolution`.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    WithJsonSchema,
    model_validator,
)

from eventbus.config.compressors import installed_compressor
from eventbus.config.encoding import ClaimCheckPolicy, EncodingPolicy, RegistryPolicy
from eventbus.config.mongodb_uri import checked_mongodb_uri
from eventbus.config.notices import NoticesSection
from eventbus.config.section import Section
from eventbus.config.server import ServerSection, ServerTLSSection, TokenSection
from eventbus.config.starts import START_SCHEMA, checked_default_start, checked_start, unwrapped_start
from eventbus.config.tracing import TracingSection
from eventbus.expressions.expression import Condition, Expression
from eventbus.suggestions import did_you_mean
from eventbus.telemetry.logs import LOGGERS
from eventbus.units import Duration, Rate, Size, parse_duration

__all__ = [
    "BatchPolicy",
    "CatchUpPolicy",
    "CircuitPolicy",
    "ClaimCheckPolicy",
    "DaemonSection",
    "DeadLetterPolicy",
    "DeadLettersSection",
    "DefaultsSection",
    "Document",
    "EncodingPolicy",
    "HeartbeatSection",
    "LogSection",
    "MongoDBSection",
    "MongoDBStateSection",
    "Name",
    "NoticesSection",
    "PriorityPolicy",
    "RegistryPolicy",
    "RetryPolicy",
    "RouteSection",
    "SQLiteStateSection",
    "Section",
    "ServerSection",
    "ServerTLSSection",
    "SinkSection",
    "StageSection",
    "SubscriptionSection",
    "TLSSection",
    "TokenSection",
    "TracingSection",
    "WindowPolicy",
]

_NAME: Final = r"^[A-Za-z][A-Za-z0-9_-]{0,62}$"
_DATABASE_NAME: Final = r'^[^/\\. "$*<>:|?\x00]{1,63}$'


def _checked_name(name: str) -> str:
    if not re.fullmatch(_NAME, name) or name.endswith("\n"):
        raise ValueError("a name begins with a letter and has only letters, digits, _ and -, at most 63")
    return name


def _checked_database_name(name: str) -> str:
    if not re.fullmatch(_DATABASE_NAME, name):
        raise ValueError('a database name has 1 to 63 characters, none of / \\ . " $ * < > : | ? or a space')
    return name


def _parsed_retention(value: Any) -> float | None:
    if value == "never":
        return None
    try:
        secs = parse_duration(value)
    except ValueError:
        raise ValueError(f"expected never, or a duration with its unit, such as 30d, got {value!r}") from None
    if secs <= 0:
        raise ValueError("must be longer than nothing")
    return secs


def _present_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


Name: TypeAlias = Annotated[str, AfterValidator(_checked_name), Field(json_schema_extra={"pattern": _NAME})]
"""Of a sink, a subscription or a route; usable as a field of MongoDB and as a label of a metric."""
_StartText: TypeAlias = Annotated[
    str, BeforeValidator(unwrapped_start, json_schema_input_type=Any), WithJsonSchema(START_SCHEMA)
]
StartText: TypeAlias = Annotated[_StartText, AfterValidator(checked_start)]
DefaultStartText: TypeAlias = Annotated[_StartText, AfterValidator(checked_default_start)]
MongoDBURI: TypeAlias = Annotated[SecretStr, AfterValidator(checked_mongodb_uri)]
DatabaseName: TypeAlias = Annotated[
    str, AfterValidator(_checked_database_name), Field(json_schema_extra={"pattern": _DATABASE_NAME})
]
PresentFile: TypeAlias = Annotated[Path, Field(strict=False), AfterValidator(_present_file)]
"""A file that is there; a relative path starts at the working directory."""
Compressor: TypeAlias = Annotated[Literal["zlib", "zstd", "snappy"], AfterValidator(installed_compressor)]
PositiveDuration: TypeAlias = Annotated[Duration, Field(gt=0)]
PositiveRate: TypeAlias = Annotated[Rate, Field(gt=0)]
PositiveSize: TypeAlias = Annotated[Size, Field(gt=0)]
Retention: TypeAlias = Annotated[
    float | None,
    BeforeValidator(_parsed_retention, json_schema_input_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(never|\d+(\.\d+)?(ms|s|m|h|d))$", "examples": ["30d", "never"]}
    ),
]
"""Seconds, written with a unit; None, written `never`, for no end."""
Delivery: TypeAlias = Literal["at_least_once", "exactly_once"]
"""How often an event arrives: once at least, or once, where the target keeps the route's position too."""
Count: TypeAlias = Annotated[int, Field(ge=1)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]


class TLSSection(Section):
    """How connections to MongoDB are encrypted; giving it, even empty, encrypts them."""

    ca_file: PresentFile | None = None
    """Certificates, in PEM, of whom we trust to say who the server is; by default the system's."""
    certificate_key_file: PresentFile | None = None
    """Our own certificate and its private key, in PEM."""
    certificate_key_password: SecretStr | None = None
    """What the private key is encrypted with."""
    x509: bool = False
    """Whether our certificate also says who we are, in place of a name and a password."""

    @model_validator(mode="after")
    def _has_certificate(self) -> Self:
        if self.x509 and self.certificate_key_file is None:
            raise ValueError("x509 needs a certificate_key_file to say who we are")
        return self


class HeartbeatSection(Section):
    """A document that is updated now and then, so that a quiet deployment has changes to report."""

    every: PositiveDuration = 10.0
    """How often."""
    database: DatabaseName = "eventbus"
    """The database of its collection."""
    collection: Text = "heartbeat"
    """The collection. It is for nothing else, and its changes are never delivered."""


def _check_login(username: str | None, password: SecretStr | None) -> None:
    if (username is None) != (password is None):
        raise ValueError("a username needs a password, and a password a username")


class MongoDBSection(Section):
    """The MongoDB deployment whose changes are read."""

    uri: MongoDBURI
    """Address of a replica set or a sharded cluster: mongodb://… or mongodb+srv://…."""
    username: Text | None = None
    """Name of the user, if uri has none; as it is, not percent-encoded."""
    password: SecretStr | None = None
    """Password of the user, as it is."""
    tls: TLSSection | None = None
    """How connections are encrypted; by default as uri says."""
    compressors: Annotated[tuple[Compressor, ...], Field(strict=False)] = ()
    """How messages are compressed, by preference; the server chooses one that it knows."""
    read_preference: (
        Literal["primary", "primary_preferred", "secondary", "secondary_preferred", "nearest"] | None
    ) = None
    """Which members are read; by default what uri says, else the primary."""
    heartbeat: HeartbeatSection | None = None
    """A document that is updated now and then, so that positions move; by default none."""

    @model_validator(mode="after")
    def _has_whole_login(self) -> Self:
        _check_login(self.username, self.password)
        return self


class MongoDBStateSection(Section):
    """State in MongoDB: for one or many daemons."""

    type: Literal["mongodb"] = "mongodb"
    """Keep state in MongoDB."""
    database: DatabaseName = "eventbus"
    """The database that belongs to eventbus; changes in it are never delivered."""
    uri: MongoDBURI | None = None
    """Address of the deployment that keeps the state; by default mongodb.uri, with what stands beside it."""
    username: Text | None = None
    """Name of the user; by default that of mongodb, unless uri is given."""
    password: SecretStr | None = None
    """Password of the user."""
    tls: TLSSection | None = None
    """How connections are encrypted; by default as for mongodb, unless uri is given."""

    @model_validator(mode="after")
    def _has_whole_login(self) -> Self:
        _check_login(self.username, self.password)
        return self


class SQLiteStateSection(Section):
    """State in a file: for one daemon, without write access to a cluster."""

    type: Literal["sqlite"] = "sqlite"
    """Keep state in a SQLite file."""
    path: Annotated[Path, Field(strict=False)]
    """The file; it is made if it is missing. A relative path starts at the working directory."""


def _is_logger(name: str) -> str:
    if name not in LOGGERS:
        raise ValueError(f"no such logger{did_you_mean(name, LOGGERS)} (known: {', '.join(LOGGERS)})")
    return name


LoggerName: TypeAlias = Annotated[str, AfterValidator(_is_logger)]


class LogSection(Section):
    """What the daemon says on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe lines that are written."""
    format: Literal["json", "console", "auto"] = "auto"
    """auto writes for people on a terminal and JSON elsewhere."""
    levels: dict[LoggerName, Literal["debug", "info", "warning", "error"]] = Field(default_factory=dict)
    """Other levels for some loggers, by name."""


class DaemonSection(Section):
    """Settings of this process as a whole."""

    instance: Text = Field(default_factory=socket.gethostname)
    """A stable name of this daemon, by default the host's: after a restart it takes back its own leases."""
    lease: PositiveDuration = 15.0
    """How long other daemons wait for a silent one before they take over its subscriptions."""
    checkpoint_every: PositiveDuration = 1.0
    """How often positions that moved are saved."""
    drain_timeout: PositiveDuration = 25.0
    """How long open deliveries may take to finish after SIGTERM."""
    headroom_warning: PositiveDuration = 3600.0
    """Below which headroom, or time until a position is lost, a warning is written."""
    stuck_after: PositiveDuration = 300.0
    """How much later than expected a task of the daemon may make progress before /livez fails."""
    watch_config: bool = False
    """Whether files of the configuration are looked at every few seconds, and reloaded when they changed."""


class DeadLettersSection(Section):
    """How many dead letters are kept, of all subscriptions together."""

    max_letters: Count | None = None
    """The most; by default there is no limit."""
    when_full: Literal["stop", "drop_oldest"] = "stop"
    """What happens to one more: stop makes its route wait, drop_oldest removes the oldest ones."""


class RetryPolicy(Section):
    """How often and when a failed delivery is tried again, with full jitter."""

    attempts: Count = 5
    """How many tries an event has, the first one included, before it becomes a dead letter."""
    initial_delay: PositiveDuration = 0.1
    """The longest wait before the second try; it doubles with every further one."""
    max_delay: PositiveDuration = 5.0
    """The longest wait before any try."""
    max_age: PositiveDuration | None = None
    """How long after its first failure an event may still be tried; outages of the sink do not count."""


class WindowPolicy(Section):
    """The bound on events of a route that are read and not yet delivered, parked or filtered."""

    events: Count = 4096
    """How many."""
    size: PositiveSize = 64 << 20
    """How large in all."""


class CircuitPolicy(Section):
    """When a sink counts as down, and how it is tried again."""

    failures: Count = 5
    """After how many failures in a row nothing more is sent."""
    initial_open: PositiveDuration = 1.0
    """How long nothing is sent the first time; it doubles while the sink stays down."""
    max_open: PositiveDuration = 60.0
    """How long nothing is sent at most."""
    pause_after: PositiveDuration | None = None
    """How long every attempt must have failed until the route is paused; null for never."""


class DeadLetterPolicy(Section):
    """How events are kept that could not be delivered."""

    retention: Retention = None
    """How long they are kept, or never to delete any."""
    sink: str | None = None
    """Name of a sink, not the route's own, that gets a copy of each; null for none."""
    documents: Literal["unless_hidden", "always", "never"] = "unless_hidden"
    """Whether such a copy has the documents of its event: not where the route's own sink does not see all."""


class BatchPolicy(Section):
    """What one call to a sink carries, within what the sink takes."""

    events: Count | None = None
    """How many events at most; by default as many as the sink takes."""
    size: PositiveSize | None = None
    """How many bytes at most, but for a single larger event; by default as many as the sink takes."""
    wait: Annotated[Duration, Field(ge=0)] = 0.0
    """How long an event may wait for others to fill its call."""


class PriorityPolicy(Section):
    """Which events go before others; where both keys are given, both must hold."""

    operations: list[Text] | None = None
    """Kinds of change."""
    collections: list[Text] | None = None
    """Names of collections."""

    @model_validator(mode="after")
    def _names_some(self) -> PriorityPolicy:
        if not self.operations and not self.collections:
            raise ValueError("name operations, or collections, or both")
        return self


class DefaultsSection(Section):
    """What holds for every route that does not say otherwise, key by key."""

    retry: RetryPolicy = RetryPolicy()
    """How failed deliveries are tried again."""
    window: WindowPolicy = WindowPolicy()
    """How much may be under way."""
    circuit: CircuitPolicy = CircuitPolicy()
    """When a sink counts as down."""
    dead_letters: DeadLetterPolicy = DeadLetterPolicy()
    """What becomes of dead letters."""
    encoding: EncodingPolicy = EncodingPolicy()
    """What messages look like."""


class CatchUpPolicy(Section):
    """How routes that fall behind are kept from holding up the others."""

    isolate_after: PositiveDuration = 0.3
    """How long others may have waited for a route before it gets a reader of its own."""
    max_readers: Annotated[int, Field(ge=1, le=100)] = 4
    """How many readers there may be beside the main one; routes that find none free wait."""


class SinkSection(Section):
    """What every sink may say, whatever its type; a type that has a key of the same name keeps its own."""

    rate: PositiveRate | None = None
    """How many events are sent at most, over all routes."""
    concurrency: Count | None = None
    """How many calls may be under way at once, over all routes; more than the type allows has no effect."""
    delivery: Delivery = "at_least_once"
    """How often an event arrives, on routes that say nothing else."""


class StageSection(Section):
    """What every stage of a pipeline may say beside its type and the options of that."""

    name: Text | None = None
    """How it is called in messages; by default its type and its place in the list."""
    on_error: Literal["park", "pass", "drop", "stop"] = "park"
    """What becomes of an event that it cannot handle: parked, left as it is, dropped, or a stop."""


class RouteSection(Section):
    """One way of a subscription into one sink."""

    sink: str
    """Name of a sink under sinks."""
    name: Name | None = None
    """Name of the route, by default that of its sink. The route's position is kept under it."""
    when: Condition | None = None
    """Which events it takes, as a condition; by default all."""
    pipeline: Any = None
    """What happens to its events behind the subscription's pipeline: stages, in their order."""
    for_each: Expression | None = None
    """A list of which each item makes a message of its own, such as ``document.items``; by default none."""
    retry: RetryPolicy | None = None
    """How failed deliveries are tried again; keys that are not given come from defaults."""
    window: WindowPolicy | None = None
    """How much may be under way; keys that are not given come from defaults."""
    circuit: CircuitPolicy | None = None
    """When the sink counts as down; keys that are not given come from defaults."""
    dead_letters: DeadLetterPolicy | None = None
    """What becomes of dead letters; keys that are not given come from defaults."""
    encoding: EncodingPolicy | None = None
    """What messages look like; keys that are not given come from defaults."""
    batch: BatchPolicy = BatchPolicy()
    """What one call carries, within what the sink takes."""
    priority: PriorityPolicy | None = None
    """Which events go before others of their lane, though never before an earlier one of their document."""
    delivery: Delivery | None = None
    """How often an event arrives; by default as the sink says."""
    ordering: Literal["key", "none", "strict"] = "key"
    """What an event waits for: earlier ones of its key, none, or all earlier ones."""
    rate: PositiveRate | None = None
    """How many events are sent at most."""
    concurrency: Count | None = None
    """How many calls may be under way at once; more than the sink allows has no effect."""
    on_dead_letter: Literal["continue", "hold_key"] = "continue"
    """Whether the later events of a key go on, or wait behind its dead letter as dead letters themselves."""
    lanes: Annotated[int, Field(ge=1, le=1024)] | None = None
    """How many ordered workers deliver at the same time; by default what suits the sink."""
    start: StartText | None = None
    """Where it begins if it has no position yet: now, oldest, subscription, a time, or a resume token."""
    critical: bool = True
    """Whether the daemon is unready while this route lacks something; what it lacks is shown in any case."""
    watermark_every: PositiveDuration | None = None
    """How often the sink is told up to when everything was delivered or parked; by default never."""


class SubscriptionSection(Section):
    """One source of changes and where they go."""

    service: Text | None = None
    """Name of the service that the changes belong to; by default the subscription's name."""
    source: Any
    """Where the changes come from; `type` is mongodb unless given, the other keys depend on it."""
    pipeline: Any = None
    """What happens to the changes before any route takes them: stages, in their order."""
    routes: Annotated[list[Any], Field(min_length=1)]
    """Where the changes go: names of sinks, or mappings that also say how."""
    start: DefaultStartText = "now"
    """Where routes begin that have no position yet, and say nothing else: now, oldest, a time, or a token."""
    catch_up: CatchUpPolicy = CatchUpPolicy()
    """Patience with routes that fall behind, and readers for them."""


class Document(Section):
    """Configuration of eventbus."""

    mongodb: Any
    """The MongoDB deployment whose changes are read."""
    state: Any = None
    """Where leases, positions and dead letters are kept; by default in MongoDB."""
    server: Any = None
    """Where health and metrics are served."""
    log: Any = None
    """What the daemon says on standard error."""
    daemon: Any = None
    """Settings of this process as a whole."""
    dead_letters: Any = None
    """How many dead letters are kept, of all subscriptions together."""
    notices: Any = None
    """Which changes of state are told to a sink; by default none."""
    tracing: Any = None
    """Traces by OpenTelemetry; by default none."""
    defaults: Any = None
    """What holds for every route that does not say otherwise, key by key."""
    sinks: dict[Name, Any]
    """Target systems by name; each has a `type`, on which its other keys depend."""
    subscriptions: Annotated[dict[Name, Any], Field(min_length=1)]
    """Subscriptions by name."""
