"""The admin API of a real daemon on a real MongoDB: who is let in, what it does, what it keeps to itself."""

from __future__ import annotations

import json
import re
import shlex
import socket
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from aiohttp import web

from eventbus.api.application import ENDPOINTS
from eventbus.api.reach import Reach
from eventbus.api.server import Health, application
from eventbus.cli import main
from eventbus.config.models import ServerSection
from tests.api.caller import READ, WRITE, Answer, Caller
from tests.api.conftest import EVENT_ID, HEADER, PASSWORD, Installation
from tests.docs.pages import ROOT, blocks

pytestmark = pytest.mark.services

WRONG = "wrong-token-0123456789abcdef"
ROUTE = "/v1/subscriptions/orders/routes/feed"
OPEN = {("GET", "/livez"), ("GET", "/readyz"), ("GET", "/metrics")}


def _routes() -> list[tuple[str, str]]:
    """All that the application serves."""
    nothing: Any = None
    app = application(ServerSection(), Reach(nothing), live=lambda: Health(True), ready=lambda: Health(True))
    return sorted({(route.method, _filled(route)) for route in app.router.routes()})


def _filled(route: web.AbstractRoute) -> str:
    assert route.resource is not None
    return re.sub(r"\{\w+\}", "orders-or-any", route.resource.canonical)


@pytest.mark.parametrize(("method", "path"), _routes(), ids=lambda value: value)
def test_nothing_is_told_without_a_token(installation: Installation, method: str, path: str) -> None:
    """Of all that is served, but for what probes and Prometheus ask; and who may look may not act."""
    nobody = installation.caller.with_token("")
    answer = nobody.ask(method, path, {} if method == "POST" else None)
    if (method, path) in OPEN:
        assert answer.status in {200, 503}
        return
    assert answer.code in {"unauthenticated", "too_many_requests"}
    if method != "GET":
        answer = nobody.with_token(READ).ask(method, path, {})
        assert (answer.status, answer.code) == (403, "forbidden")


def test_the_routes_are_those_of_the_document(installation: Installation) -> None:
    """So the test above has seen all of it, and what is not there asks for a token just the same."""
    assert len(_routes()) == len(ENDPOINTS) + 1 + len(OPEN)
    described = installation.caller.get("/v1/openapi.json").json["paths"]
    assert sum(len(methods) for methods in described.values()) == len(ENDPOINTS)
    assert installation.caller.with_token("").get("/v1/nothing").status in {401, 429}
    assert installation.caller.get("/v1/nothing").code == "not_found"


def test_it_does_what_the_command_line_does(installation: Installation) -> None:
    """A pause is obeyed, an operation is run to its end, dead letters are sent once more."""
    call, daemon = installation.caller, installation.daemon
    paused = call.post(f"{ROUTE}/pause", {"reason": "stock-taking"}).json
    assert (paused["paused"], paused["changed"]) == (True, True)
    assert re.match(r"stock-taking \(by operator@here since ", paused["reason"])
    assert call.post(f"{ROUTE}/pause", {}).json["changed"] is False
    assert call.get(ROUTE).json["state"] == "paused"
    daemon.wait_for(lambda: "stock-taking" in daemon.get("/readyz")[1], "a pause that is obeyed")
    assert call.post(f"{ROUTE}/resume").json["changed"] is True
    made = call.post(f"{ROUTE}/snapshot".replace("/routes/feed", ""), {"routes": ["feed"]})
    assert (made.status, made.json["total"]) == (202, 1)
    assert _ended(installation, made.json["operation"]["id"])["read"] == 1
    sent = call.post("/v1/dead-letters/replay", {"route": "feed", "match": {"event_id": EVENT_ID}})
    assert [part["letters"] for part in sent.json["parts"]] == [1]
    assert _ended(installation, sent.json["operations"][0]["id"])["status"] == "done"
    (letter,) = call.get(f"/v1/dead-letters/{EVENT_ID}?body=true").json["dead_letters"]
    assert (letter["status"], letter["event"]["document"]) == ("replayed", {"_id": 1, "total": 12})
    moved = call.post(f"{ROUTE}/position", {"to": "now"}).json
    assert _ended(installation, moved["operation"]["id"])["kind"] == "move"
    lines = [json.loads(line) for line in (installation.directory / "feed.jsonl").read_text().splitlines()]
    assert EVENT_ID in {line["id"] for line in lines}


def test_it_reads_its_configuration_again(installation: Installation) -> None:
    """What changed is begun anew; what is wrong is named with its place, and changes nothing."""
    path = installation.daemon.config_path
    before = path.read_text()
    config = yaml.safe_load(before)
    config["subscriptions"]["products"]["routes"] = [{"sink": "feed", "retry": {"attempts": 7}}]

    def reload(text: str) -> Answer:
        path.write_text(text)
        return installation.caller.post("/v1/reload")

    nothing: dict[str, list[str]] = {"added": [], "removed": [], "restarted": [], "sinks": []}
    try:
        assert reload(before + "# a remark\n").json == {"result": "unchanged", **nothing}
        changed = reload(yaml.safe_dump(config)).json
        assert changed == {"result": "applied", **nothing, "restarted": ["products"]}
        config["subscriptions"]["products"]["routes"] = ["fed"]
        refused = reload(yaml.safe_dump(config))
        assert (refused.status, refused.code) == (409, "conflict")
        assert "subscriptions.products" in refused.json["errors"][0]["message"]
    finally:
        assert reload(before).json["restarted"] == ["products"]


def test_it_looks_as_the_command_line_does(installation: Installation) -> None:
    """What is wrong is found, a look of just now is told again, and a report has what the daemon counted."""
    call = installation.caller.with_token(READ)
    found = call.get("/v1/doctor?subscription=orders").json
    by_code = {(one["code"], one["about"]): one for one in found["findings"]}
    assert found["complete"] is True
    assert by_code["stream", "orders"]["verdict"] == "ok"
    assert by_code["sink.unreachable", "hook"]["verdict"] == "fail"
    assert ("stream", "products") not in by_code
    assert call.get("/v1/doctor?subscription=orders").json == found
    assert ("stream", "products") in {
        (f["code"], f["about"]) for f in call.get("/v1/doctor").json["findings"]
    }
    (row,) = call.get("/v1/report?subscription=products&window=1h").json["routes"]
    assert (row["route"], row["window"]) == ("feed", "1h")
    assert row["counted_secs"] is not None


def test_a_plan_says_what_a_reload_would_do_and_does_nothing(installation: Installation) -> None:
    """The files are read, and what runs stays as it is; other servers are not asked."""
    path = installation.daemon.config_path
    before = path.read_text()

    def plan(changed: Mapping[str, Any]) -> Answer:
        path.write_text(json.dumps({**yaml.safe_load(before), **changed}))
        return installation.caller.post("/v1/plan")

    subscriptions = yaml.safe_load(before)["subscriptions"]
    more = {**subscriptions["products"], "routes": ["feed", "hook"]}
    try:
        in_force = installation.caller.get("/v1/configuration").json
        planned = plan({"subscriptions": {"products": more}}).json
        fixed = plan({"mongodb": {"uri": "mongodb://nowhere.invalid/?replicaSet=rs"}}).json
        wrong = plan({"subscriptions": {"products": {**more, "routs": []}}})
        assert installation.caller.get("/v1/configuration").json == in_force
    finally:
        path.write_text(before)
    assert (planned["reload"]["restarted"], planned["reload"]["removed"]) == (["products"], ["orders"])
    prospects = {(row["subscription"], row["route"]): row["prospect"] for row in planned["routes"]}
    assert prospects == {
        ("products", "feed"): "kept",
        ("products", "hook"): "new",
        ("orders", "feed"): "orphaned",
        ("orders", "hook"): "orphaned",
    }
    assert planned["agreed"] is False
    assert (fixed["reload"]["needs_restart"], fixed["routes"]) == (["mongodb.uri", "state.uri"], [])
    assert wrong.code == "conflict"
    assert any("routs" in error["message"] for error in wrong.json["errors"])


def _ended(installation: Installation, operation: str) -> Any:
    path = f"/v1/operations/{operation}"

    def ended() -> bool:
        return installation.caller.get(path).json["status"] in {"done", "failed", "cancelled"}

    installation.daemon.wait_for(ended, "end of an operation")
    found = installation.caller.get(path).json
    assert found["problem"] is None
    assert found["requested_by"] == "operator@here"
    return found


def test_who_acts_is_written_down(installation: Installation) -> None:
    """Done, refused or for show: who, what, which request, and what it was about if that is there."""
    call, daemon = installation.caller, installation.daemon
    call.post("/v1/subscriptions/products/resume", X_Request_Id="from-a-test-1")
    call.with_token(READ).post("/v1/subscriptions/products/resume", X_Request_Id="from-a-test-2")
    call.post("/v1/subscriptions/no-such/resume", X_Request_Id="from-a-test-3")
    call.post(f"{ROUTE}/position", {"to": "now", "dry_run": True}, X_Request_Id="from-a-test-4")
    written = {line["request_id"]: line for line in daemon.events("api_written")}
    done, forbidden, unknown, dry = (written[f"from-a-test-{number}"] for number in range(1, 5))
    assert (done["token"], done["what"], done["result"]) == ("operator", "resume_subscription", "done")
    assert (done["method"], done["path"]) == ("POST", "/v1/subscriptions/{subscription}/resume")
    assert (done["subscription"], done["dry_run"]) == ("products", False)
    assert (forbidden["token"], forbidden["result"], forbidden["status"]) == ("reader", "refused", 403)
    assert (unknown["result"], unknown["status"], "subscription" in unknown) == ("refused", 404, False)
    assert (dry["result"], dry["dry_run"]) == ("done", True)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda call: call.get("/v1/subscriptions/order"), "not_found"),
        (lambda call: call.get("/v1/operations/0123456789"), "not_found"),
        (lambda call: call.ask("DELETE", "/v1/gaps"), "method_not_allowed"),
        (lambda call: call.post(f"{ROUTE}/position", b"{"), "malformed"),
        (lambda call: call.post(f"{ROUTE}/position", b"no zip", Content_Encoding="gzip"), "malformed"),
        (lambda call: call.post(f"{ROUTE}/pause", b"1", Content_Type="text/plain"), "unsupported_media_type"),
        (lambda call: call.post(f"{ROUTE}/position", {"to": "now", "too": 1}), "invalid"),
        (lambda call: call.post(f"{ROUTE}/position", {"to": "soon"}), "invalid"),
        (lambda call: call.post(f"{ROUTE}/pause", {"reason": "x" * 70_000}), "too_large"),
        (lambda call: call.get("/v1/gaps?limit=0"), "invalid"),
        (lambda call: call.get("/v1/gaps?limit=1&limit=2"), "invalid"),
        (lambda call: call.get("/v1/dead-letters?match=%7B%22x"), "invalid"),
        (lambda call: call.post("/v1/dead-letters/discard", {}), "invalid"),
        (lambda call: call.get("/v1/version", Host="evil.example.com"), "wrong_host"),
        (lambda call: call.get("/v1/version", Origin="http://127.0.0.1:1"), "cross_origin"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(installation: Installation, answer: Any, code: str) -> None:
    """By a code for programs, with words for people, and an id that the log has too."""
    found: Answer = answer(installation.caller)
    assert found.code == code
    said = found.json
    assert said["status"] == found.status
    assert said["type"] == f"urn:eventbus:problem:{code}"
    assert said["detail"]
    assert said["request_id"] == found.headers["x-request-id"]


def test_a_suggestion_and_the_allowed_methods_are_given(installation: Installation) -> None:
    """As the command line does, and as HTTP wants it."""
    assert "did you mean 'orders'?" in installation.caller.get("/v1/subscriptions/order").json["detail"]
    assert installation.caller.ask("DELETE", "/v1/gaps").headers["allow"] == "GET"


def test_an_id_of_a_request_comes_back_if_it_can_be_shown(installation: Installation) -> None:
    """Else a new one: nothing that breaks a line, and no token, gets into the log by it."""
    call = installation.caller
    assert call.get("/v1/version", X_Request_Id="mine.1").headers["x-request-id"] == "mine.1"
    for bad in ("a b", "x" * 65, WRITE):
        assert re.fullmatch(
            r"[0-9a-f]{32}", call.get("/v1/version", X_Request_Id=bad).headers["x-request-id"]
        )


def test_nothing_in_the_log_or_on_a_page_is_a_secret(installation: Installation) -> None:
    """Valid, wrong, in the address, in the path, in headers that are no headers: no token is written down."""
    call = installation.caller
    assert call.with_token(WRONG).get("/v1/version").code in {"unauthenticated", "too_many_requests"}
    assert call.with_token("").get(f"/v1/version?token={WRITE}").status in {401, 429}
    for header in (WRITE, f"Basic {WRITE}", f"Bearer {WRITE} {WRONG}", f"Bearer{WRITE}", f"bearer\t{WRONG}"):
        assert call.get("/v1/version", Authorization=header).status in {400, 401, 429}
    call.post(f"/v1/subscriptions/{WRITE}/pause", {"reason": "x"}, X_Request_Id=WRITE)
    call.post(f"/v1/operations/{WRONG}/cancel", X_Request_Id=READ)
    for raw in (
        f"GET /v1/version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {WRITE}\x00\r\n\r\n",
        f"GET /v1/version HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer {WRONG}\r\n\r\n",
        f"{WRITE} /v1/version HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", call.port), timeout=10) as connection:
            connection.sendall(raw.encode())
            assert connection.recv(12).startswith(b"HTTP/1.")
    shown = call.get("/v1/configuration").body.decode()
    assert '"X-Key":"***"' in shown
    log = installation.daemon.log()
    assert "api_token_refused" in log
    for secret in (READ, WRITE, WRONG, PASSWORD, HEADER):
        assert secret not in log
        assert secret not in shown


PAGE = ROOT / "docs/api.md"
EXAMPLES = [
    line[2:] for block in blocks("console", PAGE) for line in block.text.splitlines() if line.startswith("$ ")
]


def _run(caller: Caller, words: list[str], operation: str) -> tuple[str, str, Answer]:
    """What curl would do: method, path and answer."""
    method, body, url = "GET", None, ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-K":
            assert next(rest) == "eventbus.curl"
        elif word == "--json":
            method, body = "POST", next(rest).encode()
        elif word == "-X":
            method = next(rest)
        else:
            url = word
    path = url.removeprefix("http://127.0.0.1:8686").replace("1f0a9b8c7d", operation)
    return method, path.partition("?")[0], caller.ask(method, path, body)


def test_every_path_is_on_the_page_with_an_example_that_works(installation: Installation) -> None:
    """In the order of the page; whoever copies one gets what it says."""
    call = installation.caller
    call.post("/v1/subscriptions/products/pause", {"reason": "an operation is to wait"})
    waiting = call.post("/v1/subscriptions/products/routes/feed/replay", {"from": "-1m"}).json["operation"][
        "id"
    ]
    asked = set()
    for example in EXAMPLES:
        method, path, answer = _run(call, shlex.split(example), waiting)
        assert answer.status < 300, f"{example}: {answer}"
        asked.add((method, path.replace(waiting, "ID").replace(EVENT_ID, "ID")))
    names = {"subscription": "orders", "route": "feed", "sink": "hook", "operation": "ID", "letter": "ID"}
    there = {(one.method, "/v1" + one.path.format(**names)) for one in ENDPOINTS}
    assert asked == there | {("GET", "/v1/openapi.json")}
    listed = re.findall(r"^\| `(GET|POST) /v1(\S+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert listed[1:] == [(one.method, one.path, one.scope) for one in ENDPOINTS]


def test_status_needs_no_configuration(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an address and a token it is the daemon that looks."""
    url = f"http://127.0.0.1:{installation.caller.port}"
    monkeypatch.setenv("EVENTBUS_TOKEN", READ)
    monkeypatch.setattr(sys, "argv", ["eventbus", "status", "orders", "--url", url, "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in {None, 0}
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["subscription"], row["route"], row["owner"]) for row in rows] == [
        ("orders", "feed", "here"),
        ("orders", "hook", "here"),
    ]
