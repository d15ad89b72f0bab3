"""The client of a Redis, wherever it is: one server, the master that Sentinels name, or a cluster.

The client's own retries are off: a call whose answer was lost may have been carried out, so that the route
must know of every attempt. A cluster's redirections are followed: a redirected call was not carried out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry as ClientRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException

from eventbus.sdk import ConfigurationError
from eventbus.sinks.redis.options import Certificates, RedisOptions
from eventbus.sinks.redis.options import Sentinel as SentinelOptions

__all__ = ["Client", "client_of"]

Client: TypeAlias = Redis | RedisCluster

_SCHEMES: Final = frozenset({"redis", "rediss", "unix"})


def client_of(options: RedisOptions) -> Client:
    """A client that makes one attempt; nothing is connected yet.

    Raises:
        ConfigurationError: The URL cannot be understood. The library's own message could show the password.
    """
    url = options.url.get_secret_value()
    try:
        parts = urlsplit(url)
        _check(parts, options)
        settings = _settings(options, is_encrypted=parts.scheme == "rediss")
        if options.cluster:
            return RedisCluster.from_url(url, **settings)
        if options.sentinel is not None:
            return _watched(parts, parse_url(url), options.sentinel, settings)
        client = Redis.from_url(url, **settings)
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call] # finds unknown query parameters
    except (TypeError, ValueError, RedisClusterException):
        raise ConfigurationError("url: not a valid Redis URL") from None
    return client


def _check(parts: SplitResult, options: RedisOptions) -> None:
    if parts.scheme not in _SCHEMES:
        raise ConfigurationError("url: must begin with redis://, rediss:// or unix://")
    if parts.scheme != "unix" and not re.fullmatch(r"/?|/\d+", parts.path):
        raise ConfigurationError("url: what follows the host must be the number of a database, such as /0")
    if options.tls is not None and parts.scheme != "rediss":
        raise ConfigurationError("tls: is for URLs that begin with rediss://")
    if options.cluster and (parts.scheme == "unix" or parts.path not in {"", "/", "/0"}):
        raise ConfigurationError("url: a cluster has only the database 0, and no socket")
    if options.sentinel is not None and (parts.scheme == "unix" or not parts.hostname):
        raise ConfigurationError("url: its host must be the name of the master that the Sentinels watch")


def _settings(options: RedisOptions, *, is_encrypted: bool) -> dict[str, Any]:
    return {
        "protocol": 2,
        "retry": ClientRetry(NoBackoff(), 0),
        "socket_timeout": options.timeout,
        "socket_connect_timeout": options.timeout,
        **(_files(options.tls) if is_encrypted and options.tls is not None else {}),
    }


def _files(certificates: Certificates) -> Mapping[str, str]:
    own = certificates.certificate_file
    files = {
        "ssl_ca_certs": certificates.ca_file,
        "ssl_certfile": own,
        "ssl_keyfile": certificates.key_file or own,
    }
    return {name: str(path) for name, path in files.items() if path is not None}


def _watched(
    parts: SplitResult, master: Mapping[str, Any], sentinel: SentinelOptions, settings: Mapping[str, Any]
) -> Redis:
    """A client of the present master; every new connection asks the Sentinels for it."""
    encryption: dict[str, Any] = {"ssl": True} if parts.scheme == "rediss" else {}
    own = {name: value for name, value in master.items() if name not in {"host", "port", "connection_class"}}
    password = sentinel.password.get_secret_value() if sentinel.password is not None else None
    sentinels = Sentinel(  # type: ignore[no-untyped-call] # as it is
        [_address(server) for server in sentinel.servers],
        sentinel_kwargs={"username": sentinel.username, "password": password, **encryption, **settings},
    )
    client: Redis = sentinels.master_for(parts.hostname or "", **own, **encryption, **settings)
    return client


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)
