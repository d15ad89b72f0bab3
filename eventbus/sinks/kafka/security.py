"""Whom a connection to Kafka trusts, and who we are there, as the client wants to be told."""

from __future__ import annotations

import math
import ssl
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError
from yarl import URL

from eventbus.http.certificates import showing, trusting
from eventbus.http.client import Client
from eventbus.http.connection import Patience
from eventbus.http.dialling import Dialler, origin_of
from eventbus.http.faults import NoReply
from eventbus.http.networks import Networks
from eventbus.sdk import ConfigurationError, Fault
from eventbus.sinks.kafka.options import Certificates, KafkaOptions
from eventbus.sinks.webhook.options import OAuth2
from eventbus.sinks.webhook.tokens import Tokens

__all__ = ["client_arguments"]


def client_arguments(options: KafkaOptions) -> dict[str, Any]:
    """What every client of the cluster is told: where it is, whom to trust, who we are.

    Reads files, and needs a running event loop. Nothing of it has to be closed.

    Raises:
        ConfigurationError: A file cannot be used; the text says which.
    """
    tls, sasl = _tls_of(options.tls), options.sasl
    arguments: dict[str, Any] = {
        "bootstrap_servers": options.bootstrap_servers,
        "client_id": options.client_id,
        "request_timeout_ms": math.ceil(options.request_timeout * 1000),
        "security_protocol": _PROTOCOLS[sasl is not None, tls is not None],
        "ssl_context": tls,
    }
    if sasl is not None:
        arguments["sasl_mechanism"] = sasl.mechanism
    if sasl is not None and sasl.password is not None:
        arguments |= {
            "sasl_plain_username": sasl.username,
            "sasl_plain_password": sasl.password.get_secret_value(),
        }
    if sasl is not None and sasl.oauth2 is not None:
        trusted = trusting(None)
        if options.tls is not None and options.tls.ca_file is not None:
            trusted.load_verify_locations(options.tls.ca_file)
        tokens = _AccessTokens(sasl.oauth2, trusted, options.request_timeout)
        arguments["sasl_oauth_token_provider"] = tokens
    return arguments


_PROTOCOLS: Final = {
    (False, False): "PLAINTEXT",
    (False, True): "SSL",
    (True, False): "SASL_PLAINTEXT",
    (True, True): "SASL_SSL",
}
"""By whether we say who we are, and whether connections are encrypted."""


def _tls_of(certificates: Certificates | None) -> ssl.SSLContext | None:
    """The context of connections; None without TLS."""
    if certificates is None:
        return None
    try:
        context = trusting(certificates.ca_file)
    except ValueError as error:
        raise ConfigurationError(f"ca_file {error}") from None
    if certificates.certificate_file is not None:
        file, key = certificates.certificate_file, certificates.key_file
        try:
            showing(context, file, key, certificates.key_password)
        except ValueError as error:
            raise ConfigurationError(f"certificate_file {error}") from None
    return context


class _AccessTokens(AbstractTokenProvider):  # type: ignore[misc] # the client has no types
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


_ANY_NETWORK: Final = Networks(("public", "private"))
