"""`eventbus sink test`: one marked event, and every step on its way, on real targets."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from pymongo import MongoClient

from eventbus.devservices import KafkaService, MongoService, RedisService
from tests.cli.command_line import Answer, CommandLine
from tests.sources.certificates import Certificates


@contextmanager
def _receiver(status: int = 202, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[Any]]]:
    """An endpoint in a thread, since the command runs a loop of its own; gives its host and what came."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", received
        server.shutdown()


def _with_sink(command: CommandLine, sink: str) -> None:
    """The sink `feed` of the configuration, which the subscription `orders` uses, is this one."""
    lines = command.text.splitlines()
    lines = [f"  feed: {sink}" if line.startswith("  feed:") else line for line in lines]
    command.config_path.write_text("\n".join(lines))


def _steps(answer: Answer) -> list[tuple[str, bool]]:
    return [(row["step"], row["ok"]) for row in answer.rows]


def test_a_webhook_is_reached_and_answers(alone: CommandLine) -> None:
    """The event says that it is none: by its type, by who sends it, and by an id of its own."""
    with _receiver() as (host, received):
        _with_sink(alone, f'{{type: webhook, url: "http://{host}/hook"}}')
        answer = alone("sink", "test", "feed", "--json")
        people = alone("sink", "test", "feed")
    assert (answer.code, people.code) == (0, 0), answer.err
    assert _steps(answer) == [(name, True) for name in ("resolve", "connect", "open", "send", "answer")]
    assert all(row["seconds"] >= 0 for row in answer.rows)
    assert [line.split()[:2] for line in people.out.splitlines()] == [
        [name, "ok"] for name in ("resolve", "connect", "open", "send", "answer")
    ]
    first, second = received
    assert first["type"] == "eventbus.test"
    assert (first["data"]["database"], first["data"]["collection"]) == ("shop", "orders")
    assert first["data"]["document"]["test"] is True
    assert first["id"] != second["id"]
    assert first["subscription"] == "orders"


@pytest.mark.parametrize(("status", "code"), [(422, 1), (500, 1), (503, 3), (401, 1)])
def test_what_the_answer_was_is_the_exit_code(alone: CommandLine, status: int, code: int) -> None:
    """Refused, or asked to come again."""
    with _receiver(status) as (host, _):
        _with_sink(alone, f'{{type: webhook, url: "http://{host}/hook"}}')
        answer = alone("sink", "test", "feed", "--json")
    assert answer.code == code
    assert _steps(answer)[-1] == ("answer", False)
    assert str(status) in answer.rows[-1]["detail"]


def test_a_certificate_that_is_not_trusted_is_where_it_ends(alone: CommandLine, tmp_path: Path) -> None:
    """Nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Certificates.made_in(tmp_path).server)
    with _receiver(tls=context) as (host, received):
        _with_sink(alone, f'{{type: webhook, url: "https://{host}/hook"}}')
        answer = alone("sink", "test", "feed", "--json")
    assert answer.code == 3
    assert _steps(answer) == [("resolve", True), ("connect", True), ("tls", False)]
    assert "certificate not accepted" in answer.rows[-1]["detail"]
    assert not received


@pytest.mark.parametrize(
    ("host", "steps"),
    [
        ("no-such-host.invalid", [("resolve", False)]),
        ("127.0.0.1:1", [("resolve", True), ("connect", False)]),
    ],
)
def test_a_server_that_is_not_there_is_said(
    alone: CommandLine, host: str, steps: list[tuple[str, bool]]
) -> None:
    _with_sink(alone, f'{{type: webhook, url: "http://{host}/hook"}}')
    answer = alone("sink", "test", "feed", "--json")
    assert answer.code == 3
    assert _steps(answer) == steps
    assert answer.rows[-1]["detail"]


def test_a_network_that_is_not_allowed_is_not_connected_to(alone: CommandLine) -> None:
    """Not even to find out who is there."""
    with _receiver() as (host, received):
        _with_sink(alone, f'{{type: webhook, url: "http://{host}/hook", networks: [public]}}')
        answer = alone("sink", "test", "feed", "--json")
    assert (answer.code, _steps(answer)) == (3, [("resolve", True), ("connect", False)])
    assert answer.rows[-1]["detail"] == "no address that may be connected to"
    assert not received


def test_the_event_is_encoded_as_the_first_route_encodes(alone: CommandLine, tmp_path: Path) -> None:
    text = alone.text.replace("[hook, feed]", "[hook, {sink: feed, encoding: {envelope: change}}]")
    alone.config_path.write_text(text)
    assert alone("sink", "test", "feed").code == 0
    line = json.loads((tmp_path / "feed.jsonl").read_bytes())
    assert line["operationType"] == "eventbus.test"
    assert line["fullDocument"]["sink"] == "feed"


def test_a_file_gets_a_line(alone: CommandLine, tmp_path: Path) -> None:
    """A sink without steps of its own is opened; names for templates can be given."""
    answer = alone("sink", "test", "feed", "--json", "--database", "d", "--collection", "c")
    assert answer.code == 0
    assert _steps(answer) == [("open", True), ("send", True), ("answer", True)]
    line = json.loads((tmp_path / "feed.jsonl").read_bytes())
    assert (line["type"], line["source"]) == ("eventbus.test", "/mongodb/d/c")


def test_a_missing_folder_and_a_misspelt_name(alone: CommandLine) -> None:
    _with_sink(alone, "{type: file, path: /no/such/folder/feed.jsonl}")
    answer = alone("sink", "test", "feed")
    assert (answer.code, answer.out.split()[:2]) == (3, ["open", "FAILED"])
    answer = alone("sink", "test", "fed")
    assert answer.code == 2
    assert answer.err == "no sink 'fed', did you mean 'feed'? (declared sinks: feed, hook)\n"


@pytest.mark.services
def test_redis_takes_the_event_and_refuses_a_stranger(
    alone: CommandLine, redis_service: RedisService, fresh_database: str
) -> None:
    """A cache takes changes of documents alone, and is given one on request."""
    stream = f"test:{fresh_database}"
    _with_sink(alone, f'{{type: redis, url: "{redis_service.url}", stream: "{stream}"}}')
    answer = alone("sink", "test", "feed", "--json")
    assert answer.code == 0
    names = ("resolve", "connect", "authenticate", "send", "answer")
    assert _steps(answer) == [(name, True) for name in names]
    url = redis_service.url.replace("redis://", "redis://stranger:hunter2@")
    _with_sink(alone, f'{{type: redis, url: "{url}", stream: "{stream}"}}')
    refused = alone("sink", "test", "feed", "--json")
    assert (refused.code, _steps(refused)[-1]) == (3, ("authenticate", False))
    assert "hunter2" not in refused.out + refused.err
    cache = f'{{type: redis, url: "{redis_service.url}", mode: set, key: "{stream}:{{document_key._id}}"}}'
    _with_sink(alone, cache)
    passed = alone("sink", "test", "feed", "--json")
    assert (passed.code, _steps(passed)[-1]) == (0, ("send", True))
    assert "--document" in passed.rows[-1]["detail"]
    assert alone("sink", "test", "feed", "--document", '{"_id": 7}').code == 0
    assert alone("sink", "test", "feed", "--document", "7").code == 2
    with redis.Redis.from_url(redis_service.url) as client:
        assert client.xlen(stream) == 1
        assert client.exists(f"{stream}:7")
        client.delete(stream)


@pytest.mark.services
def test_mongodb_and_kafka_take_the_event(
    alone: CommandLine, mongo: MongoService, kafka_service: KafkaService, fresh_database: str
) -> None:
    names = ("resolve", "connect", "authenticate", "send", "answer")
    _with_sink(alone, f'{{type: mongodb, uri: "{mongo.uri}", database: {fresh_database}, mode: insert}}')
    answer = alone("sink", "test", "feed", "--json")
    assert (answer.code, _steps(answer)) == (0, [(name, True) for name in names]), answer
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        assert [one["type"] for one in client[fresh_database]["orders"].find()] == ["eventbus.test"]
    servers = f"[127.0.0.1:1, {kafka_service.bootstrap_servers}]"
    _with_sink(alone, f'{{type: kafka, bootstrap_servers: {servers}, topic: "{fresh_database}"}}')
    answer = alone("sink", "test", "feed", "--json")
    first = [("resolve", True), ("connect", False)]
    assert (answer.code, _steps(answer)) == (0, first + [(name, True) for name in names]), answer
