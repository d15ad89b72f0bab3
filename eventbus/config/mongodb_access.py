"""From what users write about MongoDB to the arguments of the driver's client."""

from __future__ import annotations

from typing import Any, Final

from eventbus.config.models import MongoDBSection, MongoDBStateSection, TLSSection
from eventbus.config.resolved import MongoDBAccess

__all__ = ["mongodb_access", "read_preference", "state_access"]

_READ_PREFERENCES: Final = {
    "primary": "primary",
    "primary_preferred": "primaryPreferred",
    "secondary": "secondary",
    "secondary_preferred": "secondaryPreferred",
    "nearest": "nearest",
}
_WHO_WE_ARE: Final = {"username", "password", "authMechanism"}


def mongodb_access(mongodb: MongoDBSection) -> MongoDBAccess:
    """How to reach the deployment whose changes are read, for whatever purpose."""
    settings = _login(mongodb)
    if mongodb.compressors:
        settings["compressors"] = ",".join(mongodb.compressors)
    return MongoDBAccess(mongodb.uri, settings)


def read_preference(mongodb: MongoDBSection) -> str | None:
    """The driver's name for which members are read; None for what the URI says."""
    wanted = mongodb.read_preference
    return _READ_PREFERENCES[wanted] if wanted is not None else None


def state_access(state: MongoDBStateSection, mongodb: MongoDBSection) -> MongoDBAccess:
    """How to reach the deployment that keeps the state: as `mongodb` unless told otherwise."""
    own = _login(state)
    if state.uri is not None:
        return MongoDBAccess(state.uri, own)
    shared = mongodb_access(mongodb)
    others = _WHO_WE_ARE if _WHO_WE_ARE & own.keys() else set()
    kept = {name: value for name, value in shared.settings.items() if name not in others}
    return MongoDBAccess(shared.uri, kept | own)


def _login(login: MongoDBSection | MongoDBStateSection) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if login.username is not None:
        settings["username"] = login.username
    if login.password is not None:
        settings["password"] = login.password.get_secret_value()
    return settings | _encryption(login.tls) if login.tls is not None else settings


def _encryption(tls: TLSSection) -> dict[str, Any]:
    settings: dict[str, Any] = {"tls": True}
    if tls.ca_file is not None:
        settings["tlsCAFile"] = str(tls.ca_file)
    if tls.certificate_key_file is not None:
        settings["tlsCertificateKeyFile"] = str(tls.certificate_key_file)
    if tls.certificate_key_password is not None:
        settings["tlsCertificateKeyFilePassword"] = tls.certificate_key_password.get_secret_value()
    if tls.x509:
        settings["authMechanism"] = "MONGODB-X509"
    return settings
