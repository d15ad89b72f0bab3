"""What the Kafka sink decides without a broker: partitions, errors, what to send after a failure."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from aiokafka import errors
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eventbus.sdk import DELIVERED, Delivered, Failure, Fault, Message, Outcome, Rejected, Retry
from eventbus.sinks.kafka import KafkaOptions, KafkaSink
from eventbus.sinks.kafka.connection import patience_left
from eventbus.sinks.kafka.outcomes import outcome_of
from eventbus.sinks.kafka.partitioner import murmur2, partition_of
from eventbus.sinks.kafka.plan import Plan
from eventbus.testing import Changes, PlainEncoder


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_the_one_of_the_java_client(data: bytes, expected: int) -> None:
    """The vectors of the Java client's own test."""
    assert murmur2(data) == expected % 2**32


@given(st.binary(max_size=100), st.integers(1, 1000))
def test_partitions_are_those_of_the_default_partitioner(key: bytes, partitions: int) -> None:
    """For keys of any length."""
    assert partition_of(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])


@given(st.binary(min_size=20, max_size=80), st.lists(st.binary(min_size=24, max_size=60), max_size=5))
def test_keys_that_begin_alike_have_the_partitions_of_their_own(beginning: bytes, ends: list[bytes]) -> None:
    """What is remembered of a beginning holds for its size alone."""
    for end in ends:
        key = beginning + end
        assert partition_of(key, 1000) == DefaultPartitioner()(key, list(range(1000)), [])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.MessageSizeTooLargeError, "rejected"),
        (errors.RecordListTooLargeError, "rejected"),
        (errors.RecordTooLargeError, "rejected"),
        (errors.InvalidTopicError, "rejected"),
        (errors.TopicAuthorizationFailedError, Fault.UNAUTHORISED),
        (errors.ClusterAuthorizationFailedError, Fault.UNAUTHORISED),
        (errors.SaslAuthenticationFailed, Fault.UNAUTHORISED),
        (errors.UnsupportedSaslMechanismError, Fault.UNAUTHORISED),
        (errors.NotLeaderForPartitionError, Fault.UNAVAILABLE),
        (errors.LeaderNotAvailableError, Fault.UNAVAILABLE),
        (errors.NotEnoughReplicasError, Fault.UNAVAILABLE),
        (errors.RequestTimedOutError, Fault.UNAVAILABLE),
        (errors.KafkaStorageError, Fault.UNAVAILABLE),
        (errors.UnknownTopicOrPartitionError, Fault.UNAVAILABLE),
        (errors.OutOfOrderSequenceNumber, Fault.UNAVAILABLE),
        (errors.UnknownProducerId, Fault.UNAVAILABLE),
        (errors.InvalidProducerEpoch, Fault.UNAVAILABLE),
        (errors.ProducerFenced, Fault.UNAVAILABLE),
        (errors.ProducerClosed, Fault.UNAVAILABLE),
        (errors.KafkaConnectionError, Fault.UNAVAILABLE),
        (errors.KafkaTimeoutError, Fault.UNAVAILABLE),
        (errors.NodeNotReadyError, Fault.UNAVAILABLE),
        (errors.KafkaError, Fault.UNAVAILABLE),
        (errors.CorruptRecordException, Fault.FAILED),
        (errors.InvalidTimestampError, Fault.FAILED),
        (errors.PolicyViolationError, Fault.FAILED),
        (errors.UnknownError, Fault.FAILED),
        (errors.for_code(87), Fault.FAILED),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_each_error_has_its_outcome(error: type[KafkaError], expected: Fault | str) -> None:
    """Only a broker's own answer about the message spends its budget."""
    outcome = outcome_of(error())
    assert not isinstance(outcome, Delivered)
    assert error.__name__ in outcome.reason
    assert (outcome.fault if isinstance(outcome, Retry) else "rejected") == expected


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.RecordTooLargeError, Failure.TOO_LARGE),
        (errors.InvalidTopicError, Failure.REJECTED),
        (errors.TopicAuthorizationFailedError, Failure.UNAUTHORISED),
        (errors.RequestTimedOutError, Failure.TIMEOUT),
        (errors.KafkaTimeoutError, Failure.TIMEOUT),
        (errors.QuotaViolationError, Failure.THROTTLED),
        (errors.NotEnoughReplicasError, Failure.SERVER),
        (errors.UnknownError, Failure.SERVER),
        (errors.KafkaConnectionError, Failure.NETWORK),
        (errors.NodeNotReadyError, Failure.NETWORK),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_each_error_has_its_kind(error: type[KafkaError], kind: Failure) -> None:
    """Whoever searches dead letters or metrics finds it by that."""
    outcome = outcome_of(error())
    assert not isinstance(outcome, Delivered)
    assert outcome.kind is kind


def test_silence_is_counted_and_not_the_wait_for_ones_turn() -> None:
    """A partition that acknowledges others is slow, not gone."""
    assert patience_left(now=14, sent_at=5, acknowledged_at=5, patience_secs=10) == 1
    assert patience_left(now=15, sent_at=5, acknowledged_at=5, patience_secs=10) == 0
    assert patience_left(now=24, sent_at=5, acknowledged_at=20, patience_secs=10) == 6
    assert patience_left(now=24, sent_at=22, acknowledged_at=2, patience_secs=10) == 8


def _messages(keys: list[int]) -> list[Message]:
    changes = Changes()
    return [Message(event, b"", key=event.key) for event in (changes.change(f"key-{key}") for key in keys)]


class _Broker:
    """Takes a batch as a whole or not at all, and keeps what it took."""

    def __init__(self, capacity: int, verdicts: dict[str, KafkaError | Outcome]) -> None:
        self._capacity = capacity
        self._verdicts = verdicts
        self.taken: list[Message] = []
        self.attempts = 0

    def attempt(self, messages: list[Message]) -> tuple[int, KafkaError | Outcome]:
        self.attempts += 1
        batch = messages[: self._capacity]
        for message in batch:
            if message.event.id in self._verdicts:
                return len(batch), self._verdicts[message.event.id]
        self.taken += batch
        return len(batch), DELIVERED


def _carried_out(messages: list[Message], broker: _Broker) -> list[Outcome]:
    plan = Plan(messages)
    while run := plan.next():
        plan.answered(*broker.attempt(run))
    return plan.outcomes


_TOO_LARGE = errors.MessageSizeTooLargeError()
_BAD = errors.CorruptRecordException()
_GONE = errors.NotLeaderForPartitionError()
_UNKNOWN = Retry(Fault.UNAVAILABLE, "nothing acknowledged")
_verdicts: st.SearchStrategy[Any] = st.sampled_from([None] * 6 + [_TOO_LARGE, _BAD, _GONE, _UNKNOWN])


@given(st.lists(st.tuples(st.integers(0, 4), _verdicts), min_size=1, max_size=40), st.integers(1, 12))
def test_whatever_fails_outcomes_are_true_and_keys_keep_their_order(
    parts: list[tuple[int, Any]], capacity: int
) -> None:
    """Delivered is what was taken; nothing of a key is taken after something of it that is to be retried."""
    messages = _messages([key for key, _ in parts])
    verdicts = [verdict for _, verdict in parts]
    by_id = {message.event.id: v for message, v in zip(messages, verdicts, strict=True) if v is not None}
    broker = _Broker(capacity, by_id)
    outcomes = _carried_out(messages, broker)
    taken = {message.event.id for message in broker.taken}
    assert len(taken) == len(broker.taken)
    waiting: defaultdict[bytes, bool] = defaultdict(bool)
    for message, outcome, verdict in zip(messages, outcomes, verdicts, strict=True):
        assert isinstance(outcome, Delivered) == (message.event.id in taken)
        if isinstance(outcome, Rejected):
            assert verdict is _TOO_LARGE
        if isinstance(outcome, Retry) and outcome.fault is Fault.FAILED:
            assert verdict is _BAD
        assert not (waiting[message.event.key] and message.event.id in taken)
        waiting[message.event.key] |= isinstance(outcome, Retry)


def test_the_culprit_is_found_and_the_others_are_delivered() -> None:
    """In as many attempts as halving takes."""
    messages = _messages([number % 7 for number in range(64)])
    broker = _Broker(1000, {messages[41].event.id: _TOO_LARGE})
    outcomes = _carried_out(messages, broker)
    assert [index for index, outcome in enumerate(outcomes) if outcome is not DELIVERED] == [41]
    assert isinstance(outcomes[41], Rejected)
    assert broker.attempts <= 2 * 6 + 1
    assert [message.event.id for message in broker.taken] == [
        m.event.id for m in messages if m != messages[41]
    ]


def test_a_message_that_fails_holds_its_own_key_only() -> None:
    """The others of the partition go on."""
    messages = _messages([0, 1, 0, 1, 0])
    outcomes = _carried_out(messages, _Broker(1000, {messages[0].event.id: _BAD}))
    assert [outcomes[1], outcomes[3]] == [DELIVERED, DELIVERED]
    assert [o.fault for o in outcomes if isinstance(o, Retry)] == [
        Fault.FAILED,
        Fault.UNAVAILABLE,
        Fault.UNAVAILABLE,
    ]


def test_a_broker_that_is_gone_is_asked_once() -> None:
    """The rest of the call fares the same, at nobody's cost."""
    messages = _messages(list(range(50)))
    broker = _Broker(10, {messages[10].event.id: _GONE})
    outcomes = _carried_out(messages, broker)
    assert outcomes[:10] == [DELIVERED] * 10
    assert outcomes[10:] == [outcome_of(_GONE)] * 40
    assert broker.attempts == 2


def test_an_error_that_meets_everybody_is_not_tried_on_everybody() -> None:
    """After a few messages that fail each by itself the rest is left alone."""
    messages = _messages(list(range(256)))
    broker = _Broker(1000, {message.event.id: _BAD for message in messages})
    outcomes = _carried_out(messages, broker)
    assert sum(isinstance(outcome, Retry) and outcome.fault is Fault.FAILED for outcome in outcomes) == 3
    assert broker.attempts < 20


def test_a_topic_that_is_not_allowed_refuses_all_at_once() -> None:
    """It is not about single messages."""
    messages = _messages(list(range(16)))
    broker = _Broker(1000, {messages[3].event.id: errors.InvalidTopicError()})
    assert {type(outcome) for outcome in _carried_out(messages, broker)} == {Rejected}
    assert broker.attempts == 1


def _options(**options: Any) -> KafkaOptions:
    return KafkaOptions.model_validate({"bootstrap_servers": "h:1", "topic": "t"} | options)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("k1:9092", ["k1:9092"]),
        ("k1:9092, k2:9093", ["k1:9092", "k2:9093"]),
        (["k1:9092", "[::1]:9092", "k3"], ["k1:9092", "[::1]:9092", "k3"]),
    ],
)
def test_servers_are_a_list_or_a_text(value: object, expected: list[str]) -> None:
    """As people write them elsewhere."""
    assert _options(bootstrap_servers=value).bootstrap_servers == expected


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("bootstrap_servers", "", "expected host:port"),
        ("bootstrap_servers", [], "at least 1 item"),
        ("bootstrap_servers", "k1:9092,", "expected host:port"),
        ("bootstrap_servers", "kafka://k1:9092", "expected host:port"),
        ("bootstrap_servers", "k1:port", "expected host:port"),
        ("topic", "", "must not be empty"),
        ("topic", "{table}", "unknown name {table}"),
        ("topic", "shop orders", "' ' in the name of a topic"),
        ("topic", "größe.{collection}", "'ö' in the name of a topic"),
        ("topic", "x" * 250, "longer than the 249 characters"),
        ("compression", "brotli", "'none', 'gzip'"),
        ("batch_size", 100, "a size with its unit"),
        ("key", "{documents.id}", "unknown name {documents.id}"),
        ("key", "", "must not be empty"),
        ("headers", {"x": "{trace}"}, "unknown name {trace}"),
        ("topics", {"create": True, "partitions": 3}, "create: true needs partitions and replication"),
        ("topics", {"partitions": 3}, "partitions without create: true would have no effect"),
        ("tls", {"key_file": "k.pem"}, "belong to a certificate_file"),
        ("sasl", {"mechanism": "GSSAPI"}, "'PLAIN'"),
        ("sasl", {"mechanism": "SCRAM-SHA-256", "username": "u"}, "SCRAM-SHA-256 needs password"),
        ("sasl", {"mechanism": "OAUTHBEARER"}, "OAUTHBEARER needs oauth2"),
        ("sasl", {"mechanism": "PLAIN", "username": "u", "password": "p", "oauth2": None}, "has no oauth2"),
        ("request_timeout", "0s", "greater than 0"),
        ("acks", "1", "not permitted"),
    ],
)
def test_mistakes_are_errors_of_the_configuration(option: str, value: object, message: str) -> None:
    """Found before anything connects."""
    with pytest.raises(ValidationError, match=option) as caught:
        _options(**{option: value})
    assert message in str(caught.value)


def test_a_password_is_never_sent_in_the_clear() -> None:
    sasl = {"mechanism": "PLAIN", "username": "shop", "password": "open-sesame"}
    with pytest.raises(ValidationError, match="give tls, or use SCRAM") as caught:
        _options(sasl=sasl)
    assert "open-sesame" not in str(caught.value)
    assert _options(sasl=sasl, tls={}).tls is not None


@pytest.mark.parametrize("codec", ["snappy", "lz4", "zstd"])
def test_a_codec_without_its_package_is_an_error_of_the_configuration(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.sinks.kafka.options.find_spec", lambda _: None)
    with pytest.raises(ValidationError, match=r"pip install 'eventbus\[compression\]'"):
        _options(compression=codec)
    assert _options(compression="gzip").compression == "gzip"


@pytest.mark.parametrize(
    ("topic", "database", "collection", "expected"),
    [
        ("{database}.{collection}", "shop", "orders", "shop.orders"),
        ("{database}.{collection}", "shop", "größe $1", "shop.gr__e__1"),
        ("{collection}", "shop", "system.views", "system.views"),
        ("all", "shop", "orders", "all"),
    ],
)
def test_topics_have_legal_names(topic: str, database: str, collection: str, expected: str) -> None:
    """Characters that Kafka does not allow become underscores."""
    event = Changes().change("a")
    event.database, event.collection = database, collection
    made = KafkaSink("k", _options(topic=topic)).encode(event, PlainEncoder())
    assert isinstance(made, Message)
    assert made.target == expected


@pytest.mark.parametrize(
    ("collection", "reason"), [(".", "'.'"), ("..", "'..'"), ("", "''"), ("x" * 250, "xxx")]
)
def test_a_topic_that_cannot_be_named_rejects_the_event(collection: str, reason: str) -> None:
    """With its name."""
    event = Changes().change("a")
    event.collection = collection
    made = KafkaSink("k", _options(topic="{collection}")).encode(event, PlainEncoder())
    assert isinstance(made, Rejected)
    assert reason in made.reason


def test_a_message_above_the_limit_is_rejected_unsent() -> None:
    """The limit holds for key, body and headers together."""
    changes = Changes()
    sink = KafkaSink("k", _options(max_request_size="2KiB"))
    assert isinstance(sink.encode(changes.change("a", text="x" * 1024), PlainEncoder()), Message)
    for event in (changes.change("a", text="x" * 2048), changes.change("k" * 1024, text="x" * 500)):
        made = sink.encode(event, PlainEncoder())
        assert isinstance(made, Rejected)
        assert "more than max_request_size 2048" in made.reason
        assert made.kind is Failure.TOO_LARGE
