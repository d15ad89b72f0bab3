"""The last line and the exit code follow from what receivers got, whatever the daemon thinks."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventbus.demo.judgement import judged
from eventbus.demo.ledger import Ledger
from eventbus.demo.receivers import FileReceiver, Receiver, RedisReceiver, WebhookReceiver
from tests.demo.envelopes import body, committed, life

CHANGES = [change for document in ("a", "b") for change in life(document)]
BODIES = [body(f"e{number}", change) for number, change in enumerate(CHANGES)]


@pytest.fixture
def receivers() -> list[Receiver]:
    return [
        WebhookReceiver("whsec_c2VjcmV0"),
        RedisReceiver("redis://127.0.0.1:1", "s"),
        FileReceiver(Path("/nowhere")),
    ]


def feed(receivers: list[Receiver], bodies: list[bytes]) -> None:
    for receiver in receivers:
        for content in bodies:
            receiver.take(content)


def test_all_well(receivers: list[Receiver]) -> None:
    feed(receivers, BODIES)

    judgement = judged(committed(CHANGES), receivers)

    assert judgement.is_good
    assert judgement.complaints == []
    assert judgement.line == "demo: committed=8 webhook=8 redis=8 file=8 kafka=off lost=0 duplicated=0"


def test_a_loss_at_one_receiver_spoils_it(receivers: list[Receiver]) -> None:
    feed(receivers[:2], BODIES)
    feed(receivers[2:], BODIES[:-1])

    judgement = judged(committed(CHANGES), receivers)

    assert not judgement.is_good
    assert judgement.complaints == ['file: 1 lost, first delete orders "b"']
    assert judgement.line.endswith("webhook=8 redis=8 file=7 kafka=off lost=1 duplicated=0")


def test_losses_and_duplicates_of_all_receivers_are_added_up(receivers: list[Receiver]) -> None:
    feed(receivers, BODIES[2:] + BODIES[4:5])

    assert judged(committed(CHANGES), receivers).line.endswith("lost=6 duplicated=3")


def test_a_duplicate_is_told_and_is_no_failure(receivers: list[Receiver]) -> None:
    feed(receivers, BODIES)
    feed(receivers[:1], BODIES[3:4])

    judgement = judged(committed(CHANGES), receivers)

    assert judgement.is_good
    assert judgement.line.endswith("webhook=9 redis=8 file=8 kafka=off lost=0 duplicated=1")
    assert judgement.complaints == ['webhook: 1 duplicated, first delete orders "a"']


def test_disorder_spoils_it(receivers: list[Receiver]) -> None:
    feed(receivers, [BODIES[1], BODIES[0], *BODIES[2:]])

    judgement = judged(committed(CHANGES), receivers)

    assert not judgement.is_good
    assert judgement.complaints[0] == 'webhook: 1 out of order, first insert orders "a" rev 1'


def test_something_foreign_spoils_it(receivers: list[Receiver]) -> None:
    feed(receivers, [*BODIES, body("other", life("c")[0])])

    assert not judged(committed(CHANGES), receivers).is_good


def test_something_that_is_no_event_spoils_it(receivers: list[Receiver]) -> None:
    feed(receivers, [*BODIES, b"what?"])

    judgement = judged(committed(CHANGES), receivers)

    assert not judgement.is_good
    assert "not JSON" in judgement.complaints[0]


def test_an_event_in_a_message_of_another_id_spoils_it(receivers: list[Receiver]) -> None:
    feed(receivers, BODIES[1:])
    for receiver in receivers:
        receiver.take(BODIES[0], message_id="another")

    assert not judged(committed(CHANGES), receivers).is_good


def test_where_nothing_was_committed_nothing_is_shown(receivers: list[Receiver]) -> None:
    assert not judged(Ledger(), receivers).is_good
