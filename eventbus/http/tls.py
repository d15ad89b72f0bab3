"""The certificates of connections by https, as users write them."""

from __future__ import annotations

import ssl

from pydantic import Field, SecretStr, model_validator

from eventbus.http.certificates import showing, trusting
from eventbus.sdk import Options

__all__ = ["Tls", "context_of"]


class Tls(Options):
    """Certificates of a connection by https."""

    ca: str | None = Field(default=None, min_length=1)
    """A file of certificates, in PEM, to trust instead of the system's."""
    certificate: str | None = Field(default=None, min_length=1)
    """A file with our own certificate and those between it and its root, in PEM."""
    key: str | None = Field(default=None, min_length=1)
    """A file with its private key, in PEM."""
    key_password: SecretStr | None = None
    """What the private key is encrypted with, if it is."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Tls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.key_password is not None and self.key is None:
            raise ValueError("there is no key that the password could be of")
        return self


def context_of(tls: Tls | None) -> ssl.SSLContext:
    """The context of connections; it always checks certificates and names. Reads files.

    Raises:
        ValueError: A file cannot be used; the text says which.
    """
    if tls is None:
        return trusting(None)
    try:
        context = trusting(tls.ca)
    except ValueError as error:
        raise ValueError(f"ca {error}") from None
    if tls.certificate is not None:
        try:
            showing(context, tls.certificate, tls.key, tls.key_password)
        except ValueError as error:
            raise ValueError(f"certificate {error}") from None
    return context
