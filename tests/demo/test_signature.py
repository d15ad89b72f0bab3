"""The receiver believes what the specification's own library signs, and nothing else."""

from __future__ import annotations

import base64
import secrets
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from eventbus.demo.signature import is_signed

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
BODY = b'{"id": "msg_1"}'


def signed_headers(body: bytes = BODY, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", moment, body.decode()),
    }


def test_what_the_library_signs_is_believed() -> None:
    assert is_signed(signed_headers(), BODY, SECRET, now=time.time())


def test_one_good_signature_among_others_is_enough() -> None:
    headers = signed_headers()
    headers["webhook-signature"] = f"v1,{'A' * 43}= v1a,xyz {headers['webhook-signature']}"

    assert is_signed(headers, BODY, SECRET, now=time.time())


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_or_changed_header_is_not_believed(name: str) -> None:
    without = {key: value for key, value in signed_headers().items() if key != name}
    changed = signed_headers() | {name: signed_headers()[name][:-1]}

    assert not is_signed(without, BODY, SECRET, now=time.time())
    assert not is_signed(changed, BODY, SECRET, now=time.time())


def test_another_body_is_not_believed() -> None:
    assert not is_signed(signed_headers(), BODY + b" ", SECRET, now=time.time())


def test_another_secret_is_not_believed() -> None:
    other = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()

    assert not is_signed(signed_headers(secret=other), BODY, SECRET, now=time.time())


@pytest.mark.parametrize("seconds", [-400, 400])
def test_an_old_or_early_message_is_not_believed(seconds: int) -> None:
    now = time.time()

    assert not is_signed(signed_headers(at=now + seconds), BODY, SECRET, now=now)
