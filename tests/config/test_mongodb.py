"""How the deployment that is read, and the one that keeps the state, are reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventbus.config import MongoDBState
from tests.config.fakes import SMALLEST, load_text, problems_of

REST = SMALLEST[SMALLEST.index("sinks:") :]


def configured(tmp_path: Path, mongodb: str, state: str = "") -> Any:
    """The configuration with these sections."""
    return load_text(
        f"mongodb: {{uri: mongodb://h, {mongodb}}}\nstate: {{type: mongodb, {state}}}\n{REST}", tmp_path
    )


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A file that is there."""
    path = tmp_path / "some.pem"
    path.write_text("")
    return path


def settings_of_state(config: Any) -> dict[str, Any]:
    assert isinstance(config.state, MongoDBState)
    return dict(config.state.access.settings)


def test_nothing_is_added_to_the_uri_by_itself(tmp_path: Path) -> None:
    config = configured(tmp_path, "")
    assert (config.mongodb.settings, config.read_preference, config.heartbeat) == ({}, None, None)
    assert config.state.access == config.mongodb


def test_every_key_becomes_an_argument_of_the_driver(tmp_path: Path, pem: Path) -> None:
    tls = f"{{ca_file: {pem}, certificate_key_file: {pem}, certificate_key_password: p, x509: true}}"
    config = configured(
        tmp_path,
        f'username: "a:b", password: "c@d", tls: {tls}, compressors: [zlib], '
        "read_preference: secondary_preferred, heartbeat: {every: 5s}",
    )
    assert config.mongodb.settings == {
        "username": "a:b",
        "password": "c@d",
        "tls": True,
        "tlsCAFile": str(pem),
        "tlsCertificateKeyFile": str(pem),
        "tlsCertificateKeyFilePassword": "p",
        "authMechanism": "MONGODB-X509",
        "compressors": "zlib",
    }
    assert config.read_preference == "secondaryPreferred"
    assert (config.heartbeat.every, config.heartbeat.database, config.heartbeat.collection) == (
        *(5.0, "eventbus", "heartbeat"),
    )
    assert "c@d" not in repr(config)


def test_the_state_is_reached_like_the_rest_unless_told_otherwise(tmp_path: Path, pem: Path) -> None:
    """Who we are is one matter, how connections are encrypted another; an address of its own is both."""
    shared = f"username: u, password: p, compressors: [zlib], tls: {{ca_file: {pem}}}"
    whole = {"username": "u", "password": "p", "tls": True, "tlsCAFile": str(pem), "compressors": "zlib"}
    assert settings_of_state(configured(tmp_path, shared)) == whole
    other = settings_of_state(configured(tmp_path, shared, "username: v, password: q"))
    assert other == whole | {"username": "v", "password": "q"}
    certificate = f"tls: {{certificate_key_file: {pem}, x509: true}}"
    by_certificate = settings_of_state(configured(tmp_path, shared, certificate))
    assert by_certificate["authMechanism"] == "MONGODB-X509"
    assert not {"username", "password"} & by_certificate.keys()
    back = settings_of_state(configured(tmp_path, certificate, "username: v, password: q"))
    assert "authMechanism" not in back
    elsewhere = configured(tmp_path, shared, "uri: mongodb://elsewhere, username: v, password: q")
    assert settings_of_state(elsewhere) == {"username": "v", "password": "q"}


@pytest.mark.parametrize(
    ("mongodb", "told"),
    [
        ("tls: {x509: true}", "mongodb.tls: x509 needs a certificate_key_file"),
        ("tls: {ca_file: /nowhere/ca.pem}", "mongodb.tls.ca_file: there is no file /nowhere/ca.pem"),
        ("compressors: [snappy]", "snappy needs the Python package python-snappy"),
        ("compressors: [zstd]", "zstd needs the Python package backports.zstd"),
        ("compressors: [gzip]", "mongodb.compressors[0]: "),
        ("read_preference: nearby", "mongodb.read_preference: "),
        ("heartbeat: {every: 0s}", "mongodb.heartbeat.every: "),
        ("username: u", "mongodb: a username needs a password, and a password a username"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(tmp_path: Path, mongodb: str, told: str) -> None:
    text = f"mongodb: {{uri: mongodb://h, {mongodb}}}\n{REST}"
    (problem,) = problems_of(text, tmp_path)
    assert told in problem
