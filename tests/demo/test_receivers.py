"""Receivers take what real servers hold: all of it, once, in order."""

from __future__ import annotations

import base64
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from redis.asyncio import Redis
from standardwebhooks import Webhook

from eventbus.demo.receivers import FileReceiver, KafkaReceiver, RedisReceiver, WebhookReceiver
from eventbus.devservices import KafkaService, RedisService
from tests.demo.envelopes import body, committed, life

pytestmark = [pytest.mark.anyio]

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
CHANGES = [change for number in range(600) for change in life(f"A-{number}")]
BODIES = [body(f"e{number}", change) for number, change in enumerate(CHANGES)]


def signed(event_id: str, content: bytes, secret: str = SECRET) -> dict[str, str]:
    now = datetime.fromtimestamp(time.time(), UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, now, content.decode()),
    }


async def test_the_webhook_takes_signed_messages() -> None:
    async with WebhookReceiver(SECRET) as receiver, aiohttp.ClientSession() as http:
        for number in range(4):
            headers = signed(f"e{number}", BODIES[number])
            async with http.post(receiver.url, data=BODIES[number], headers=headers) as response:
                assert response.status == 204

    assert committed(CHANGES[:4]).check(receiver.receipts).is_clean
    assert not receiver.complaints
    assert receiver.latest == "delete orders A-0"


async def test_the_webhook_refuses_what_is_not_signed() -> None:
    wrong = "whsec_" + base64.b64encode(b"another secret, as long.").decode()
    async with WebhookReceiver(SECRET) as receiver, aiohttp.ClientSession() as http:
        for headers in ({}, signed("e0", BODIES[0], wrong)):
            async with http.post(receiver.url, data=BODIES[0], headers=headers) as response:
                assert response.status == 401

    assert not receiver.receipts
    assert len(receiver.complaints) == 2


async def test_the_webhook_notices_a_message_id_that_is_not_the_events() -> None:
    headers = signed("e9", BODIES[0])
    async with (
        WebhookReceiver(SECRET) as receiver,
        aiohttp.ClientSession() as http,
        http.post(receiver.url, data=BODIES[0], headers=headers) as response,
    ):
        assert response.status == 204

    assert len(receiver.complaints) == 1


@pytest.mark.services
async def test_redis_is_read_to_its_end_each_time(redis_service: RedisService) -> None:
    stream = f"test-{uuid.uuid4().hex}"
    async with (
        RedisReceiver(redis_service.url, stream) as receiver,
        Redis.from_url(redis_service.url) as redis,
    ):
        await receiver.read()
        assert not receiver.receipts

        for part in (range(1100), range(1100, len(BODIES))):
            async with redis.pipeline() as pipe:
                for number in part:
                    pipe.xadd(stream, {"id": f"e{number}", "event": BODIES[number]})
                await pipe.execute()
            await receiver.read()
            assert len(receiver.receipts) == part.stop
        await redis.delete(stream)

    assert committed(CHANGES).check(receiver.receipts).is_clean
    assert not receiver.complaints


@pytest.mark.services
async def test_redis_entries_of_another_id_are_noticed(redis_service: RedisService) -> None:
    stream = f"test-{uuid.uuid4().hex}"
    async with (
        RedisReceiver(redis_service.url, stream) as receiver,
        Redis.from_url(redis_service.url) as redis,
    ):
        await redis.xadd(stream, {"id": "other", "event": BODIES[0]})
        await redis.xadd(stream, {"event": BODIES[1]})
        await receiver.read()
        await redis.delete(stream)

    assert len(receiver.complaints) == 2


async def test_a_file_is_followed_through_its_rotations(tmp_path: Path) -> None:
    """Reading at every point, a half line included, gives every line once and in order."""
    path = tmp_path / "shop.jsonl"
    async with FileReceiver(path) as receiver:
        await receiver.read()
        for number, content in enumerate(BODIES[:200]):
            with path.open("ab") as file:
                file.write(content[:20])
                file.flush()
                if number % 7 == 0:
                    await receiver.read()
                file.write(content[20:] + b"\n")
            if number % 30 == 29:
                path.rename(tmp_path / f"shop.jsonl.20260101T000000Z-{number:04d}")
            if number % 11 == 0:
                await receiver.read()
        await receiver.read()
        await receiver.read()

    assert [receipt.event_id for receipt in receiver.receipts] == [f"e{number}" for number in range(200)]
    assert not receiver.complaints


async def test_a_file_whose_half_line_was_cut_off_is_read_on(tmp_path: Path) -> None:
    """As after a crash: the new process cuts the half line off and goes on."""
    path = tmp_path / "shop.jsonl"
    async with FileReceiver(path) as receiver:
        path.write_bytes(BODIES[0] + b"\n" + BODIES[1][:9])
        await receiver.read()
        path.write_bytes(BODIES[0] + b"\n")
        with path.open("ab") as file:
            file.write(BODIES[1] + b"\n")
        await receiver.read()

    assert [receipt.event_id for receipt in receiver.receipts] == ["e0", "e1"]


@pytest.mark.services
async def test_kafka_is_read_to_the_end_of_every_partition(kafka_service: KafkaService) -> None:
    topics = [f"test-{uuid.uuid4().hex}" for _ in range(2)]
    servers = kafka_service.bootstrap_servers
    async with (
        KafkaReceiver(servers, topics) as receiver,
        AIOKafkaProducer(bootstrap_servers=servers) as producer,
    ):
        await receiver.read()
        assert not receiver.receipts

        for part in (range(700), range(700, len(BODIES))):
            for number in part:
                key = CHANGES[number].document_id.encode()
                await producer.send(topics[number // 4 % 2], BODIES[number], key=key)
            await producer.flush()
            await receiver.read()
            assert len(receiver.receipts) == part.stop

    assert committed(CHANGES).check(receiver.receipts).is_clean
