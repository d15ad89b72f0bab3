"""No password of a URI survives in a text for people, however broken the URI."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from eventbus.config.mongodb_uri import checked_mongodb_uri
from eventbus.telemetry.redaction import redact
from tests.config.fakes import SMALLEST, problems_of, with_sink


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mongodb://user:pw@host:27017/db?w=1", "mongodb://user:***@host:27017/db?w=1"),
        ("mongodb+srv://user:pw@host", "mongodb+srv://user:***@host"),
        ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
        ("https://u:pw@host/x?y=z", "https://u:***@host/x?y=z"),
        ("got 'mongodb://u:pw@h', sorry", "got 'mongodb://u:***@h', sorry"),
        ("two: redis://a:pw@h,redis://b:pw@i", "two: redis://a:***@h,redis://b:***@i"),
        ("MONGODB://u:pw@h1:1,h2:2/", "MONGODB://u:***@h1:1,h2:2/"),
        # broken URIs, where the password has what it must not have
        ("mongodb://u:p/w@host/db", "mongodb://u:***@host/db"),
        ("mongodb://u:p?w@host/db", "mongodb://u:***@host/db"),
        ("mongodb://u:p#w@host/db", "mongodb://u:***@host/db"),
        ("mongodb://u:p@w@host/db", "mongodb://u:***@host/db"),
        ("mongodb://u:p:w@host/db", "mongodb://u:***@host/db"),
        ("mongodb://u:p@w/p@host/db", "mongodb://u:***@host/db"),
        ("mongodb://u:p w@host/db", "mongodb://u:***@host/db"),
        ("mongodb://u:p'w@host/db", "mongodb://u:***@host/db"),
        ("mongodb://u:12/pw@host/db", "mongodb://u:***@host/db"),
        ("redis://:12/pw@host", "redis://:***@host"),
        ("http://:12/pw@host", "http://:***@host"),
        # secrets in parameters
        ("https://h/x?token=pw&a=b", "https://h/x?token=***&a=b"),
        (
            "mongodb://h/?a=b&tlsCertificateKeyFilePassword=pw",
            "mongodb://h/?a=b&tlsCertificateKeyFilePassword=***",
        ),
        (
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:pw",
            "mongodb://h/?authMechanismProperties=***",
        ),
    ],
)
def test_passwords_are_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no URI: a:b@c",
        "mongodb://localhost:27017/?replicaSet=rs0",
        "mongodb://user@host/db",
        "mongodb://h1:1,h2:2/",
        "http://[::1]:8080/x",
        "https://host:8443/users/@me",
        "https://host/a:b",
        "http://host:80 and mail to a@b.example",
        "://",
        "mongodb://",
    ],
)
def test_what_hides_nothing_is_left_alone(text: str) -> None:
    assert redact(text) == text


@settings(deadline=None)
@given(st.text(alphabet="abc:/?#@[]% '\"\n.,=&+-_019", max_size=40))
def test_redaction_takes_any_text(text: str) -> None:
    once = redact(f"mongodb://{text}")
    assert redact(once) == once, "what is masked stays as it is"


HOST = st.from_regex(r"[a-z]{1,8}(:[0-9]{1,4})?", fullmatch=True)
PASSWORD = st.text(alphabet="QZ:/?#@%&=", max_size=12).map(lambda text: f"Q{text}Z")
"""No letter of it occurs in the rest of a URI or in a message."""


@settings(deadline=None)
@given(PASSWORD, HOST)
def test_no_password_survives_encoded_or_not(password: str, host: str) -> None:
    """B 44: a malformed URI must not print its password."""
    assert redact(f"mongodb://user:{password}@{host}/db") == f"mongodb://user:***@{host}/db"


@settings(deadline=None)
@given(
    st.text(alphabet="abc:/?#@[]%'\"., =&+-_019ü", max_size=40),
    st.sampled_from(["mongodb://", "mongodb+srv://", ""]),
)
def test_any_text_is_a_mongodb_uri_or_not(text: str, scheme: str) -> None:
    """And nothing but ValueError says so."""
    with contextlib.suppress(ValueError):
        assert checked_mongodb_uri(SecretStr(scheme + text)).get_secret_value() == scheme + text


@settings(deadline=None)
@given(PASSWORD, HOST)
def test_a_bad_mongodb_uri_names_no_piece_of_its_password(password: str, host: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        checked_mongodb_uri(SecretStr(f"mongodb://user:{password}@{host}/db?bogus=1"))

    text = str(caught.value).replace("RFC", "").replace("MongoDB URI", "")
    assert "Q" not in text
    assert "Z" not in text


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://h",
        "mongodb://u:p%2Fw@h1:1,h2:2/db?replicaSet=rs0&authSource=admin",
        "mongodb+srv://u:p@cluster.example/?srvMaxHosts=2&retryWrites=true",
        "mongodb://[::1]:27017",
        "mongodb://%2Ftmp%2Fmongodb-27017.sock",
    ],
)
def test_sound_mongodb_uris(uri: str) -> None:
    assert checked_mongodb_uri(SecretStr(uri)).get_secret_value() == uri


ESCAPE = (
    "not a MongoDB URI: in the user name and the password each of : / ? # [ ] @ % must be percent-encoded"
)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("localhost:27017", "expected a URI that begins with mongodb:// or mongodb+srv://"),
        ("http://u:hunter2@h", "expected a URI that begins with mongodb:// or mongodb+srv://"),
        ("mongodb://u:hunter2@", "not a MongoDB URI: Empty host (or extra comma in host list)"),
        ("mongodb://u:hun/ter2@h", ESCAPE),
        ("mongodb://u:hun@ter2@h", ESCAPE),
        ("mongodb://u:hun:ter2@h", ESCAPE),
        ("mongodb://u:hun?ter2=1@h", ESCAPE),
        ("mongodb://u:hun%ter2@h", ESCAPE),
        ("mongodb://u:hunter2@h:99999", "not a MongoDB URI: Port must be an integer between 0 and 65535"),
        (
            "mongodb://u:hunter2@h/?retryWrite=hunter2",
            "not a MongoDB URI: Unknown option: retrywrite. Did you mean",
        ),
        (
            "mongodb://h/?authMechanismProperties=hunter2",
            "not a MongoDB URI: one of its options is wrong",
        ),
    ],
)
def test_bad_mongodb_uris_are_explained(tmp_path: Path, uri: str, message: str) -> None:
    (problem,) = problems_of(SMALLEST.replace("mongodb://localhost:27017/?replicaSet=rs0", uri), tmp_path)

    assert problem.startswith(f"c.yaml:3:8: mongodb.uri: {message}")
    assert not [piece for piece in ("hun", "er2") if piece in problem]


@pytest.mark.parametrize("uri", ["http://u:hunter2@h", "mongodb://u:hun/ter2@h"])
def test_a_bad_uri_from_a_variable_is_not_shown_either(tmp_path: Path, uri: str) -> None:
    text = SMALLEST.replace("mongodb://localhost:27017/?replicaSet=rs0", "${URI}")

    (problem,) = problems_of(text, tmp_path, {"URI": uri})

    assert problem.startswith("c.yaml:3:8: mongodb.uri: ")
    assert not [piece for piece in ("hun", "er2") if piece in problem]


@pytest.mark.parametrize(
    ("sink", "shown"),
    [
        ("{type: hook, url: 'redis://u:hunter2@h'}", "'redis://u:***@h' is no address of the web"),
        ("{type: feed, path: p, limit: 'redis://u:hunter2@h'}", "got 'redis://u:***@h'"),
        ("{type: feed, path: p, mode: 'redis://u:hun/ter2@h'}", "got 'redis://u:***@h'"),
        ("{type: 'redis://u:hunter2@h'}", "unknown type 'redis://u:***@h' (known: feed, hook, rude)"),
        ("{type: feed, path: p, 'redis://u:hunter2@h': 5}", "unknown key 'redis://u:***@h'"),
        ("{type: hook, url: 'https://u:hunter2@h', scheme: none}", "https://u:***@h wants signing"),
    ],
)
def test_a_uri_in_a_bad_value_loses_its_password(tmp_path: Path, sink: str, shown: str) -> None:
    (problem, *_) = problems_of(with_sink(sink), tmp_path)

    assert shown in problem
    assert "hunter" not in problem
