"""Whom a connection to Kafka trusts, and who we are there, as the client wants to be told."""

from __future__ import annotations

import math
import os
import ssl
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError
from yarl import URL

from eventbus.sdk import ConfigurationError, Fault
from eventbus.sinks.kafka.options import Certificates, KafkaOptions
from eventbus.sinks.webhook.client import Client
from eventbus.sinks.webhook.connection import Patience
from eventbus.sinks.webhook.dialling import Dialler
from eventbus.sinks.webhook.faults import NoReply
from eventbus.sinks.webhook.networks import Networks
from eventbus.sinks.webhook.options import OAuth2
from eventbus.sinks.webhook.target import origin_of
from eventbus.sinks.webhook.tokens import Tokens

__all__ = ["AccessTokens", "access_tokens", "client_arguments", "tls_of"]


def client_arguments(options: KafkaOptions, tokens: AccessTokens | None) -> dict[str, Any]:
    """What every client of the cluster is told: where it is, whom to trust, who we are. Reads files.

    Args:
        options: What users wrote.
        tokens: Those of `access_tokens`.

    Raises:
        ConfigurationError: A file cannot be used; the text says which.
    """
    tls, sasl = tls_of(options.tls), options.sasl
    arguments: dict[str, Any] = {
        "bootstrap_servers": options.bootstrap_servers,
        "client_id": options.client_id,
        "request_timeout_ms": math.ceil(options.request_timeout * 1000),
        "security_protocol": _PROTOCOLS[sasl is not None, tls is not None],
        "ssl_context": tls,
    }
    if sasl is not None:
        arguments |= {
            "sasl_mechanism": sasl.mechanism,
            "sasl_plain_username": sasl.username,
            "sasl_plain_password": sasl.password.get_secret_value() if sasl.password is not None else None,
            "sasl_oauth_token_provider": tokens,
        }
    return arguments


_PROTOCOLS: Final = {
    (False, False): "PLAINTEXT",
    (False, True): "SSL",
    (True, False): "SASL_PLAINTEXT",
    (True, True): "SASL_SSL",
}
"""By whether we say who we are, and whether connections are encrypted."""


def tls_of(certificates: Certificates | None) -> ssl.SSLContext | None:
    """The context of connections, which always checks certificates and names; None without TLS. Reads files.

    Raises:
        ConfigurationError: A file cannot be used; the text says which.
    """
    if certificates is None:
        return None
    try:
        context = ssl.create_default_context(cafile=certificates.ca_file)
    except OSError as error:
        raise ConfigurationError(f"ca_file {certificates.ca_file}: {_why(error)}") from None
    if certificates.certificate_file is not None:
        secret = certificates.key_password
        password = secret.get_secret_value() if secret is not None else ""
        try:
            context.load_cert_chain(certificates.certificate_file, certificates.key_file, lambda: password)
        except OSError as error:
            what = f"certificate_file {certificates.certificate_file} with its key"
            raise ConfigurationError(f"{what}: {_why(error)}") from None
    return context


def access_tokens(options: KafkaOptions) -> AccessTokens | None:
    """The tokens to show to brokers; None if they want none. Reads files; needs a running event loop.

    Raises:
        ConfigurationError: A file cannot be used; the text says which.
    """
    sasl = options.sasl
    if sasl is None or sasl.oauth2 is None:
        return None
    trusted = ssl.create_default_context()
    if options.tls is not None and options.tls.ca_file is not None:
        tls_of(options.tls)  # it says what is wrong with the file
        trusted.load_verify_locations(options.tls.ca_file)
    return AccessTokens(sasl.oauth2, trusted, options.request_timeout)


class AccessTokens(AbstractTokenProvider):  # type: ignore[misc] # the client has no types
    """Access tokens, asked for when a connection needs one and kept for the next.

    Args:
        options: Where to get them.
        tls: Whom to trust there.
        patience_secs: How long that may take.
    """

    def __init__(self, options: OAuth2, tls: ssl.SSLContext, patience_secs: float) -> None:
        patience = Patience(*[patience_secs] * 5)
        origin = origin_of(URL(options.token_url.get_secret_value()))
        self._client = Client(Dialler(origin, _ANY_NETWORK, patience, tls), patience, keep_alive_secs=0)
        self._tokens = Tokens(options, self._client)

    async def token(self) -> str:
        """One that is good for a while yet.

        Raises:
            KafkaError: There is none to be had.
        """
        try:
            return await self._tokens.current()
        except NoReply as error:
            if error.outcome.fault is Fault.UNAUTHORISED:
                raise AuthenticationFailedError(error.outcome.reason) from None
            raise KafkaConnectionError(error.outcome.reason) from None

    def close(self) -> None:
        """Release its connection."""
        self._client.close()


_ANY_NETWORK: Final = Networks(("public", "private"))


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not in PEM"
    return os.strerror(error.errno) if error.errno else "not readable"
