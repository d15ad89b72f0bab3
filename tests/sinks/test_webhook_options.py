"""What a webhook's options accept, and the decisions that need no server."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook

from eventbus.http.retry_after import retry_after_secs
from eventbus.sdk import Delivered, Failure, Fault, Rejected, Retry, Sink
from eventbus.sinks.webhook import WebhookOptions, WebhookSink
from eventbus.sinks.webhook.answers import Answer, outcome_of_answer
from eventbus.sinks.webhook.signing import Signer, key_of
from eventbus.sinks.webhook.target import Target

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KEY = base64.b64encode(b"k" * 24).decode()


def options(**given_options: Any) -> WebhookOptions:
    return WebhookOptions.model_validate({"url": "https://h/in"} | given_options)


def problems(**given_options: Any) -> str:
    with pytest.raises(ValidationError) as error:
        options(**given_options)
    # The messages as a report would use them, and the text that a careless log line would have.
    return json.dumps(error.value.errors(include_input=False, include_context=False), default=str) + str(
        error.value
    )


def test_defaults() -> None:
    chosen = options()
    assert (chosen.timeout, chosen.concurrency, chosen.signing, chosen.headers) == (10.0, 16, None, {})
    sink: Sink = WebhookSink("hook", chosen)
    assert (sink.traits.lanes, sink.traits.max_batch, sink.traits.concurrency) == (16, 1, 16)


def test_bounds_of_a_request() -> None:
    """They are the sink's word to its routes; a single event has the bound of MongoDB's documents."""
    several = WebhookSink("hook", options(body="array", max_batch=7, max_batch_size="2KiB")).traits
    assert (several.max_batch, several.max_batch_bytes, several.keeps_order) == (7, 2048, True)
    one = WebhookSink("hook", options(max_batch=7, max_batch_size="2KiB")).traits
    assert (one.max_batch, one.max_batch_bytes, one.keeps_order) == (1, 16 << 20, False)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "https://user:pa%20ss@h.example:8443/a/b?c=d",
        "http://[::1]:8080/",
        "https://m\u00fcnchen.example/\u00e4",
        "HTTPS://H.EXAMPLE/",
    ],
)
def test_addresses_that_are_accepted(url: str) -> None:
    assert options(url=url).url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://t0ken@h/", "begins with http:// or https://"),
        ("h.example/t0ken", "begins with http:// or https://"),
        ("", "begins with http:// or https://"),
        ("http:///t0ken", "names no host"),
        ("http://h:0/t0ken", "names no host and port"),
        ("http://h:99999/t0ken", "not a URL"),
        ("http://a..b/t0ken", "not a URL"),
        ("http://h/t0ken x", "no spaces"),
        ("http://h/t0ken\r\nX-Evil: 1", "no spaces and no control characters"),
        ("http://h /t0ken", "no spaces"),
    ],
)
def test_addresses_that_are_refused_without_being_repeated(url: str, said: str) -> None:
    text = problems(url=url)
    assert said in text
    assert "t0ken" not in text


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Webhook-Id": "s3cret"}, "set by eventbus itself"),
        ({"content-type": "s3cret"}, "set by eventbus itself"),
        ({"Host": "s3cret"}, "set by eventbus itself"),
        ({"Transfer-Encoding": "s3cret"}, "belongs to the connection"),
        ({"Connection": "s3cret"}, "belongs to the connection"),
        ({"X Y": "s3cret"}, "not a name"),
        ({"": "s3cret"}, "not a name"),
        ({"X": "s3cret\r\nY: 1"}, "printable ASCII"),
        ({"X": "s3cret\n"}, "printable ASCII"),
        ({"X": "s3cr\u00e9t"}, "printable ASCII"),
        ({"X": ""}, "printable ASCII"),
        ({"X-A": "s3cret", "x-a": "s3cret"}, "upper and lower case"),
    ],
)
def test_headers_that_are_refused(headers: Mapping[str, str], said: str) -> None:
    text = problems(headers=headers)
    assert said in text
    assert "s3cr" not in text


@pytest.mark.parametrize(
    ("given_options", "said"),
    [
        (
            {"url": "https://user:s3cret@h/", "headers": {"authorization": "Bearer s3cret"}},
            "a header Authorization",
        ),
        ({"basic": {"username": "u", "password": "s3cret"}, "bearer": "s3cret"}, "basic and bearer"),
        ({"url": "https://user:s3cret@h/", "bearer": "s3cret"}, "a user name in the URL and bearer"),
        (
            {
                "bearer": "s3cret",
                "oauth2": {"token_url": "https://h/", "client_id": "c", "client_secret": "s3cret"},
            },
            "bearer and oauth2",
        ),
    ],
)
def test_one_authorization_only(given_options: dict[str, Any], said: str) -> None:
    text = problems(**given_options)
    assert said in text
    assert "only one can be sent" in text
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("given_options", "said"),
    [
        ({"url": "https://{collection}.s3cret.example/"}, "in the path and in the query only"),
        ({"url": "https://h:{collection}/s3cret"}, "in the path and in the query only"),
        ({"url": "https://h/s3cret/{tenant}"}, "unknown name {tenant}"),
        ({"url": "https://h/s3cret/{"}, "unmatched braces"),
        ({"headers": {"X": "s3cret {tenant}"}}, "unknown name {tenant}"),
        ({"headers": {"X": "s3cret {"}}, "unmatched braces"),
        ({"bearer": "s3cret\r\nX: 1"}, "printable ASCII"),
        ({"url": "http://h/s3cret", "tls": {"ca": "a.pem"}}, "does not begin with https"),
        ({"tls": {"certificate": "a.pem"}}, "certificate and key belong together"),
        ({"tls": {"key_password": "s3cret"}}, "no key that the password could be of"),
        ({"url": "https://h/s3cret/{collection}", "handshake_origin": "a.example"}, "url can be no template"),
        ({"handshake_origin": "a.example\r\nX: 1"}, "a name in the DNS"),
        ({"answers": {"204": "retry"}}, "a status such as 404"),
        ({"answers": {"4XX": "retry"}}, "a status such as 404"),
        ({"answers": {"404": "drop"}}, "'delivered', 'retry', 'wait', 'park' or 'pause'"),
        ({"methods": {"delete": "GET"}}, "'POST', 'PUT', 'PATCH' or 'DELETE'"),
        (
            {"oauth2": {"token_url": "ftp://s3cret", "client_id": "c", "client_secret": "s3cret"}},
            "begins with http",
        ),
        ({"timeouts": {"connect": "0s"}}, "greater than 0"),
        ({"keep_alive": "-1s"}, "a duration with its unit"),
        ({"max_batch": 0}, "greater than or equal to 1"),
        ({"body": "xml"}, "'single', 'array' or 'ndjson'"),
    ],
)
def test_what_cannot_be_meant_is_refused(given_options: dict[str, Any], said: str) -> None:
    """With a sentence that repeats no secret."""
    text = problems(**given_options)
    assert said in text
    assert "s3cret" not in text


@pytest.mark.parametrize(
    "secret",
    [
        *("whsec_", "", "====", "s3cret!", "whsec_s3cr-t_x", "s3cre", "s3cret00!", "s3cret 00"),
        *("whsk_", "whsk_s3cret00", "whsk_" + base64.b64encode(b"s3cr" * 16).decode(), "whsk_s3cr!"),
    ],
)
def test_signing_secrets_that_are_refused_without_being_repeated(secret: str) -> None:
    text = problems(signing={"secrets": [KEY, secret]})
    assert "a signing secret" in text
    assert "s3cr" not in text


@pytest.mark.parametrize("signing", [{"secrets": []}, {}, {"scheme": "md5", "secrets": [KEY]}])
def test_signing_needs_a_known_scheme_and_a_secret(signing: Mapping[str, object]) -> None:
    assert "signing" in problems(signing=signing)


@pytest.mark.parametrize("bad", [{"timeout": "0s"}, {"timeout": 10}, {"concurrency": 0}, {"method": "GET"}])
def test_other_options_that_are_refused(bad: Mapping[str, object]) -> None:
    assert next(iter(bad)) in problems(**bad)


def test_secrets_are_in_no_text() -> None:
    chosen = options(
        url="https://user:s3cret@h/t0ken", headers={"X": "s3cret"}, signing={"secrets": ["s3cretS3cret"]}
    )
    sink = WebhookSink("hook", chosen)
    target = Target(chosen)
    shown = f"{chosen!r} {chosen} {chosen.model_dump()} {chosen.model_dump_json()} {sink!r} {target!r}"
    assert "s3cret" not in shown
    assert "t0ken" not in shown
    assert str(target.origin) == "h:443"


def test_the_schema_says_which_options_are_secret() -> None:
    schema = WebhookOptions.model_json_schema()
    assert schema["properties"]["url"]["format"] == "password"
    assert schema["properties"]["timeout"]["pattern"]


@given(key=st.binary(min_size=1, max_size=80), padded=st.booleans(), prefixed=st.booleans(), body=st.text())
def test_secrets_mean_what_receivers_take_them_for(
    key: bytes, padded: bool, prefixed: bool, body: str
) -> None:
    """With and without prefix and padding, as the receivers' own library reads them."""
    encoded = base64.b64encode(key).decode()
    secret = ("whsec_" if prefixed else "") + (encoded if padded else encoded.rstrip("="))
    assert key_of(secret) == key
    signed = Webhook(secret).sign("id-1", NOW, body)
    assert Signer([secret]).signature("id-1", int(NOW.timestamp()), body.encode()) == signed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("000007", 7.0),
        ("3601", 3600.0),
        ("9" * 5000, 3600.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("\u0663", None),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        ("Sun Mar  1 12:00:30 2026", 30.0),
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30.0),
        ("Sun, 01 Mar 2026 11:59:00 GMT", 0.0),
        ("Sun, 01 Mar 2099 12:00:00 GMT", 3600.0),
        ("Sun, 99 Mar 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, expected: float | None) -> None:
    assert retry_after_secs(value, NOW) == expected


@given(st.text(max_size=60))
def test_no_retry_after_is_an_error(value: str) -> None:
    secs = retry_after_secs(value, NOW)
    assert secs is None or 0 <= secs <= 3600


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (None, "nowhere"),
        ("/login?t0ken", "another path of the same host"),
        ("https://user:t0ken@sso.example/t0ken", "sso.example"),
        ("http://h:bad/t0ken", "an invalid address"),
    ],
)
def test_where_a_redirect_points(location: str | None, target: str) -> None:
    outcome = outcome_of_answer(Answer(302, location=location), NOW)
    assert isinstance(outcome, Retry)
    assert f"to {target}:" in outcome.reason
    assert "t0ken" not in outcome.reason


def test_statuses_beyond_the_known_ones() -> None:
    assert outcome_of_answer(Answer(799), NOW) == Retry(Fault.FAILED, "answered 799")
    assert outcome_of_answer(Answer(499, excerpt="gone"), NOW) == Rejected("answered 499: gone")


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (Failure.UNAUTHORISED, (401, 403)),
        (Failure.TIMEOUT, (408, 504)),
        (Failure.TOO_LARGE, (413,)),
        (Failure.THROTTLED, (425, 429)),
        (Failure.REJECTED, (400, 404, 410, 422)),
        (Failure.SERVER, (301, 500, 502, 503)),
    ],
)
def test_each_status_has_its_kind(kind: Failure, statuses: tuple[int, ...]) -> None:
    for status in statuses:
        outcome = outcome_of_answer(Answer(status), NOW)
        assert not isinstance(outcome, Delivered)
        assert outcome.kind is kind


def test_a_wait_is_honoured_with_any_status_that_is_tried_again() -> None:
    later = NOW + timedelta(seconds=9)
    stamp = later.strftime("%a, %d %b %Y %H:%M:%S GMT")
    for status in (401, 408, 429, 500, 503):
        outcome = outcome_of_answer(Answer(status, retry_after=stamp), NOW)
        assert isinstance(outcome, Retry)
        assert outcome.after_secs == 9.0


def test_a_secret_is_not_shown_in_half_at_the_cut() -> None:
    target = Target(options(headers={"X": "abcdefghij"}))
    assert target.excerpt(b"x" * 195 + b"abcdefghij") == "x" * 195 + "***"
    assert target.excerpt(b"abcdefghij " * 50).strip("* ") == ""
    long = "0123456789" * 10
    assert Target(options(headers={"X": long})).excerpt(long.encode() * 40 + long[:96].encode()) == "***"
