"""A configuration in which every secret that there can be is given, and nearly all that it names fails."""

from __future__ import annotations

import base64
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

from eventbus.config import models
from eventbus.config.section import Section
from eventbus.registry import Registry

USER: Final = "somebody"
AWAY: Final = "127.0.0.1:1"
"""Nobody answers there."""


def secret_options() -> set[str]:
    """Each option of ours whose type says that it is a secret, as ``Model.option``."""
    registry = Registry.from_entry_points()
    of_types = [registry.sink(name).Options for name in registry.sinks]
    of_types += [registry.stage(name).Options for name in registry.stages]
    of_types += [registry.source(name).Options for name in registry.sources]
    sections = [one for one in vars(models).values() if isinstance(one, type) and issubclass(one, Section)]
    found: set[str] = set()
    seen: set[type[BaseModel]] = set()
    todo = [one for one in (*of_types, *sections) if one.__module__.startswith("eventbus.")]
    while todo:
        model = todo.pop()
        if model in seen:
            continue
        seen.add(model)
        for name, info in model.model_fields.items():
            for part in _parts(info.annotation):
                if part in (SecretStr, SecretBytes):
                    found.add(f"{model.__name__}.{name}")
                elif isinstance(part, type) and issubclass(part, BaseModel):
                    todo.append(part)
    return found


def _parts(annotation: Any) -> Iterator[Any]:
    """A type, and all that it is made from."""
    yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


@dataclass
class Marks:
    """Values for secrets that nothing else contains, and where each was given."""

    given: dict[str, str] = field(default_factory=dict)
    """By option, and by what tells several uses of one apart."""

    def __call__(self, option: str, use: str = "") -> str:
        """A value of letters and digits alone, so that it looks the same in an address."""
        name = f"{option}/{use}" if use else option
        letters = "".join(character for character in name if character.isalnum())
        self.given[name] = f"zq{letters}qz"
        return self.given[name]

    def key(self, option: str) -> str:
        """A value for a signing key: what is written, and its bytes, are secrets alike."""
        return "whsec_" + _base64(self(option).ljust(24, "x"))

    @property
    def options(self) -> set[str]:
        """The options that were given."""
        return {name.partition("/")[0] for name in self.given}

    def shown_in(self, text: str) -> list[str]:
        """The options whose value a text has in it, as it is or as a header has it."""
        return [
            name
            for name, value in self.given.items()
            if any(
                form in text
                for form in (value, _base64(value.ljust(24, "x")), _base64(f"{USER}:{value}").rstrip("="))
            )
        ]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@dataclass
class Place:
    """What a marked configuration is about.

    Args:
        mongodb: ``host:port`` of a server that asks for passwords.
        redis: ``host:port`` of a server that knows none.
        echo: Address of a server that prints what it gets.
        name: Of the database, and what the state's begins with.
        directory: Where certificates are.
        marks: The secrets.
    """

    mongodb: str
    redis: str
    echo: str
    name: str
    directory: Path
    marks: Marks = field(default_factory=Marks)

    def config(self) -> dict[str, Any]:
        """It starts, with the right passwords for MongoDB and its own port; all else fails."""
        mark = self.marks
        password = mark("MongoDBSection.uri")
        return {
            "mongodb": {
                "uri": f"mongodb://{USER}:{password}@{self.mongodb}/?replicaSet=rs0&authSource=admin"
            },
            "state": {
                "uri": f"mongodb://keeper:{mark('MongoDBStateSection.uri')}@{self.mongodb}/"
                "?replicaSet=rs0&authSource=admin",
                "database": f"{self.name}_state",
            },
            "log": {"format": "json", "level": "debug"},
            "server": {
                "tokens": [{"name": "operator", "token": mark("TokenSection.token"), "scope": "write"}],
                "tls": self._locked("certificate_file", "key_file", mark("ServerTLSSection.key_password")),
            },
            "tracing": {
                "endpoint": f"{self.echo}/401/v1/traces?key={mark('TracingSection.endpoint')}",
                "headers": {"X-Key": mark("TracingSection.headers")},
            },
            "defaults": {
                "retry": {"attempts": 2, "initial_delay": "10ms", "max_delay": "50ms"},
                "circuit": {"initial_open": "50ms", "max_open": "200ms"},
            },
            "sinks": self._sinks(),
            "subscriptions": self._subscriptions(),
        }

    def _sinks(self) -> dict[str, Any]:
        mark = self.marks
        hook = {"type": "webhook", "url": f"{self.echo}/422"}
        oauth2 = {
            "token_url": f"{self.echo}/401?key={mark('OAuth2.token_url')}",
            "client_id": USER,
            "client_secret": mark("OAuth2.client_secret"),
            "credentials": "body",
        }
        kafka = {"type": "kafka", "bootstrap_servers": AWAY, "topic": "orders"}
        return {
            "refused": {
                **hook,
                "url": f"{self.echo}/422/{mark('WebhookOptions.url', 'path')}?key="
                + mark("WebhookOptions.url", "query"),
                "basic": {"username": USER, "password": mark("Basic.password")},
                "headers": {"X-Key": mark("WebhookOptions.headers")},
                "signing": {"secrets": [mark.key("Signing.secrets")]},
            },
            "failing": {**hook, "url": f"{self.echo}/500", "bearer": mark("WebhookOptions.bearer")},
            "shut_out": {**hook, "oauth2": oauth2},
            "encrypted": {
                **hook,
                "url": f"https://{AWAY}/",
                "tls": self._locked("certificate", "key", mark("Tls.key_password")),
            },
            "registered": hook,
            "feed": {
                "type": "redis",
                "url": f"redis://:{mark('RedisOptions.url')}@{self.redis}/0",
                "stream": self.name,
            },
            "watched": {
                "type": "redis",
                "url": f"redis://:{mark('RedisOptions.url', 'master')}@master/0",
                "stream": self.name,
                "sentinel": {"servers": [AWAY], "username": USER, "password": mark("Sentinel.password")},
            },
            "copy": {
                "type": "mongodb",
                "uri": f"mongodb://{USER}:{mark('MongoSinkOptions.uri')}@{AWAY}/",
                "mode": "replace",
                "timeout": "1s",
            },
            "topic": {
                **kafka,
                "tls": self._locked("certificate_file", "key_file", mark("Certificates.key_password")),
                "sasl": {"mechanism": "PLAIN", "username": USER, "password": mark("Sasl.password")},
            },
            "token_topic": {**kafka, "sasl": {"mechanism": "OAUTHBEARER", "oauth2": oauth2}},
        }

    def _subscriptions(self) -> dict[str, Any]:
        mark = self.marks
        source = {"database": self.name, "collections": ["orders"]}
        registry = {
            "url": f"{self.echo}/401",
            "username": USER,
            "password": mark("RegistryPolicy.password"),
        }
        usual = [name for name in self._sinks() if name != "registered"]
        return {
            "orders": {
                "source": source,
                "pipeline": [{"mask": {"fields": {"card": "hash"}, "salt": mark("MaskOptions.salt")}}],
                "routes": [
                    *usual,
                    {"sink": "registered", "encoding": {"format": "avro", "registry": registry}},
                ],
            },
            "looked_up": {
                "source": source,
                "pipeline": [
                    {
                        "http_lookup": {
                            "url": f"{self.echo}/500?key={mark('HttpLookupOptions.url')}",
                            "headers": {"X-Key": mark("HttpLookupOptions.headers")},
                            "into": "document.found",
                        }
                    }
                ],
                "routes": ["failing"],
            },
        }

    def _locked(self, certificate: str, key: str, password: str) -> dict[str, str]:
        """A certificate of ours and its key, which the password opens."""
        ours, opened = self.directory / "ours.pem", self.directory / "ours.key"
        locked = self.directory / f"locked{len(list(self.directory.iterdir()))}.key"
        if not opened.exists():
            _openssl(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
                f"-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {opened} -out {ours}"
            )
        _openssl(f"ec -in {opened} -aes256 -passout pass:{password} -out {locked}")
        return {certificate: str(ours), key: str(locked), "key_password": password}

    def wrong(self) -> dict[str, Any]:
        """The same with passwords that MongoDB does not take, and one that opens no key."""
        config, mark = self.config(), self.marks
        config["mongodb"] = {
            "uri": f"mongodb://{self.mongodb}/?replicaSet=rs0&authSource=admin",
            "username": USER,
            "password": mark("MongoDBSection.password"),
        }
        config["state"] |= {
            "uri": config["mongodb"]["uri"],
            "username": "keeper",
            "password": mark("MongoDBStateSection.password"),
        }
        config["server"] = {}
        for sink, option in (("encrypted", "Tls.key_password"), ("topic", "Certificates.key_password")):
            config["sinks"][sink]["tls"]["key_password"] = mark(option, "wrong")
        return config

    def unopened(self) -> dict[str, Any]:
        """The wrong one with a certificate for MongoDB whose key no password opens."""
        config = self.wrong()
        locked = self._locked("", "file", self.marks("TLSSection.certificate_key_password"))
        config["mongodb"]["tls"] = {
            "certificate_key_file": locked["file"],
            "certificate_key_password": self.marks("TLSSection.certificate_key_password", "wrong"),
        }
        return config


def _openssl(arguments: str) -> None:
    subprocess.run(["openssl", *shlex.split(arguments)], check=True, capture_output=True)
