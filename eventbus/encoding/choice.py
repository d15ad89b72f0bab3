"""The encoder that a configuration asks for, and what it may not ask for. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from eventbus.config.encoding import ClaimCheckPolicy, EncodingPolicy
from eventbus.encoding.avro import (
    RegisteredSchema,
    avro_body,
    cloudevents_record,
    cloudevents_schema,
    debezium_schema,
)
from eventbus.encoding.body import body_template
from eventbus.encoding.claims import (
    ClaimCheck,
    Reference,
    bson_reference,
    cloudevents_reference,
    json_reference,
)
from eventbus.encoding.cloudevents import CloudEventsEncoder, SectionWriter
from eventbus.encoding.composed import ComposedEncoder, HeadersOf, no_headers
from eventbus.encoding.debezium import DebeziumEnvelope
from eventbus.encoding.document import document_body
from eventbus.encoding.documents import change_event, data_document, raw_document
from eventbus.encoding.extended import canonical_extended_json
from eventbus.encoding.headers import attributes_in_headers, constant_headers
from eventbus.encoding.json import relaxed_json
from eventbus.encoding.plain import plain_json
from eventbus.encoding.projection import Projection
from eventbus.encoding.traces import TraceOf
from eventbus.model import Event
from eventbus.sdk import Carries, Encoder

__all__ = ["Origin", "contradictions", "depends_on_sink", "encoder_of", "schema_of"]

_MODES: Final[Mapping[str, SectionWriter]] = {
    "relaxed": relaxed_json,
    "canonical": canonical_extended_json,
    "plain": plain_json,
}
_MEDIA_TYPES: Final = {
    "json": "application/json",
    "bson": "application/bson",
    "avro": "application/vnd.apache.avro",
}
_Body = Callable[[Event], bytes]


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose events they are.

    Args:
        subscription: Name of the subscription.
        service: Name of its service.
        replay: Id of the operation that sends them once more; None if none does.
        trace_of: The trace that an event belongs to; None if none does.
    """

    subscription: str
    service: str
    replay: str | None = None
    trace_of: TraceOf | None = None


def contradictions(encoding: EncodingPolicy, carries: Carries) -> Iterator[tuple[str, str]]:
    """What of an encoding does not go together, or not into such a sink: the key, and why."""
    envelope = "body" if encoding.body is not None else encoding.envelope
    is_binary = encoding.mode == "binary"
    if is_binary and envelope not in {"cloudevents", "body"}:
        yield "mode", f"binary is a mode of the envelope cloudevents, not of {envelope}"
    if is_binary and carries.attributes is None:
        yield "mode", "binary needs a sink with headers, such as kafka or webhook"
    if encoding.format == "bson":
        if envelope not in {"change", "document"} and not (envelope == "cloudevents" and is_binary):
            yield "format", "bson needs the envelope change or document, or cloudevents in binary mode"
        if not carries.any_bytes:
            yield "format", "bson is no text, which the sink needs"
        if encoding.json_mode != "relaxed":
            yield "json", f"{encoding.json_mode} is about JSON, and the format is bson"
    if encoding.format == "avro":
        yield from _avro_contradictions(encoding, envelope, carries)
    elif encoding.registry is not None:
        yield "registry", "is about format avro"
    if encoding.with_schema and envelope != "debezium":
        yield "schema", f"belongs to the envelope debezium, not to {envelope}"
    if encoding.fields and encoding.without:
        yield "without", "does not go together with fields: name those to keep, or those to leave out"


def _avro_contradictions(
    encoding: EncodingPolicy, envelope: str, carries: Carries
) -> Iterator[tuple[str, str]]:
    if envelope not in {"cloudevents", "debezium"} or encoding.mode == "binary":
        yield "format", "avro needs the envelope debezium, or cloudevents in structured mode"
    if not carries.any_bytes:
        yield "format", "avro is no text, which the sink needs"
    if encoding.registry is None:
        yield "registry", "avro needs the registry in which its schema is registered"
    if encoding.claim_check is not None:
        yield "claim_check", "has no form in avro"
    if encoding.with_schema:
        yield "schema", "is in the registry, and not in messages of avro"


def schema_of(encoding: EncodingPolicy, subscription: str, subject: str | None = None) -> RegisteredSchema:
    """The schema of an encoding in Avro, not yet registered; its subject is its full name unless given."""
    is_debezium = encoding.envelope == "debezium"
    definition = debezium_schema(subscription) if is_debezium else cloudevents_schema()
    return RegisteredSchema(subject or f"{definition['namespace']}.{definition['name']}", definition)


def depends_on_sink(encoding: EncodingPolicy) -> bool:
    """Whether sinks that carry different things get different messages of this encoding."""
    return encoding.mode == "binary" or encoding.envelope == "document"


def encoder_of(
    encoding: EncodingPolicy, origin: Origin, carries: Carries, schema: RegisteredSchema | None = None
) -> Encoder:
    """The encoder for a sink; `contradictions` has none to tell.

    Args:
        encoding: What is asked for.
        origin: Whose events they are.
        carries: What the sink's messages can be like.
        schema: The one of `schema_of`, for an encoding in Avro.
    """
    write = _MODES[encoding.json_mode]
    envelope = CloudEventsEncoder(
        origin.subscription, origin.service, origin.replay, write=write, trace_of=origin.trace_of
    )
    if schema is not None:
        body = _projected(encoding, _avro(encoding, envelope, origin, schema))
        return ComposedEncoder(_MEDIA_TYPES["avro"], body, _headers(encoding, envelope, origin, carries))
    if encoding.envelope == "cloudevents" and encoding.mode == "structured" and encoding.body is None:
        whole: Encoder = envelope
        if encoding.fields or encoding.without:
            whole = ComposedEncoder(envelope.content_type, _projected(encoding, envelope.encode))
        reference = cloudevents_reference(envelope.attributes)
    else:
        headers = _headers(encoding, envelope, origin, carries)
        body = _projected(encoding, _body(encoding, envelope, origin, carries))
        whole = ComposedEncoder(_MEDIA_TYPES[encoding.format], body, headers)
        reference = bson_reference if encoding.format == "bson" else json_reference
    claim_check = encoding.claim_check
    return whole if claim_check is None else _claim_check(claim_check, whole, reference)


def _claim_check(claim_check: ClaimCheckPolicy, encoder: Encoder, reference: Reference) -> ClaimCheck:
    return ClaimCheck(
        encoder,
        reference,
        above_bytes=claim_check.above,
        bucket=claim_check.bucket,
        keep_secs=claim_check.keep,
    )


def _headers(
    encoding: EncodingPolicy, envelope: CloudEventsEncoder, origin: Origin, carries: Carries
) -> HeadersOf:
    if carries.attributes is None:
        return no_headers
    if encoding.mode == "binary":
        return attributes_in_headers(envelope.attributes, carries.attributes)
    if origin.replay is not None and carries.attributes == "ce_":  # HTTP has several messages in a request
        return constant_headers([("eventbus-replay", origin.replay.encode())])
    return no_headers


def _projected(encoding: EncodingPolicy, body: _Body) -> _Body:
    if not encoding.fields and not encoding.without:
        return body
    projection = Projection(encoding.fields, encoding.without)
    return lambda event: body(projection(event))


def _avro(
    encoding: EncodingPolicy, envelope: CloudEventsEncoder, origin: Origin, schema: RegisteredSchema
) -> _Body:
    if encoding.envelope == "debezium":
        return avro_body(schema, DebeziumEnvelope(origin.subscription, _MODES[encoding.json_mode]).payload)
    return avro_body(schema, cloudevents_record(envelope))


def _body(encoding: EncodingPolicy, envelope: CloudEventsEncoder, origin: Origin, carries: Carries) -> _Body:
    write = _MODES[encoding.json_mode]
    is_bson = encoding.format == "bson"
    if encoding.body is not None:
        return body_template(encoding.body, write, subscription=origin.subscription, service=origin.service)
    match encoding.envelope:
        case "cloudevents":
            return data_document if is_bson else envelope.data
        case "debezium":
            debezium = DebeziumEnvelope(origin.subscription, write)
            return debezium.body_with_schema if encoding.with_schema else debezium.body
        case "change":
            return change_event if is_bson else lambda event: write(change_event(event))
        case "document":
            return document_body(raw_document if is_bson else write, tombstones=carries.tombstones)
