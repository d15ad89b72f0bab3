"""Checks what the user of a deployment may do, and says how an administrator lets it do the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from eventbus.config import Config
from eventbus.doctor.catalogue import found
from eventbus.doctor.findings import Finding, well
from eventbus.doctor.mongosh import called
from eventbus.doctor.needs import (
    Need,
    heartbeat_needs,
    missing,
    oplog_needs,
    privilege,
    shown,
    source_needs,
    state_needs,
)

__all__ = ["Rights", "rights_of", "source_privileges", "state_privileges"]

_UNAUTHORIZED: Final = 13
_ROLES: Final = "admin"
"""The database of the roles that are made: only those of it may reach into others."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What we may do on a deployment.

    Args:
        is_asked: Whether the deployment asks who we are at all.
        user: Our name and its database; None if we gave none.
        roles: Names of the user's roles, inherited ones included.
        privileges: Resources with their actions.
    """

    is_asked: bool
    user: tuple[str, str] | None
    roles: frozenset[str]
    privileges: Sequence[Mapping[str, Any]]

    def lacks(self, needs: Iterable[Need]) -> list[Need]:
        """What of the needs is not allowed."""
        return missing(needs, self.privileges) if self.is_asked else []


async def rights_of(client: AsyncMongoClient[Any]) -> Rights:
    """Ask what we may do.

    Raises:
        PyMongoError: The server does not answer.
    """
    status = await client.admin.command("connectionStatus", showPrivileges=True)
    info = status["authInfo"]
    users = info["authenticatedUsers"]
    roles = frozenset(role["role"] for role in info["authenticatedUserRoles"] if role["db"] == _ROLES)
    if users:
        return Rights(True, (users[0]["user"], users[0]["db"]), roles, info["authenticatedUserPrivileges"])
    return Rights(await _asks(client), None, roles, ())


def source_privileges(config: Config, names: Sequence[str], rights: Rights) -> Iterator[Finding]:
    """Whether the user may read what these subscriptions read, and write the heartbeat."""
    if rights.is_asked and rights.user is None:
        yield found("privileges.nobody", "the server asks for a name, and mongodb gives none")
        return
    lacking = False
    for name in names:
        if needs := rights.lacks(source_needs(config.subscriptions[name])):
            lacking = True
            yield _lacking("privileges.source", name, needs, rights, f"eventbus-{name}")
    for code, about, wanted in (
        ("privileges.oplog", "oplog", oplog_needs()),
        ("privileges.heartbeat", "heartbeat", heartbeat_needs(config)),
    ):
        if needs := rights.lacks(wanted):
            lacking = True
            yield _lacking(code, about, needs, rights, f"eventbus-{about}")
    if not lacking:
        yield well("privileges", _held(rights), about="mongodb")


def state_privileges(config: Config, rights: Rights) -> Finding:
    """Whether the user may keep the state."""
    if rights.is_asked and rights.user is None:
        return found("privileges.nobody", "the server asks for a name, and state gives none", about="state")
    if needs := rights.lacks(state_needs(config)):
        return _lacking("privileges.state", "state", needs, rights, "eventbus-state")
    return well("privileges", _held(rights), about="state")


def _lacking(code: str, about: str, needs: Sequence[Need], rights: Rights, role: str) -> Finding:
    assert rights.user is not None  # nobody lacks everything, which was said before
    text = f"user {rights.user[0]} lacks {'; '.join(map(shown, needs))}"
    return found(code, text, about=about, mend=_grant(needs, rights, rights.user, role))


def _grant(needs: Sequence[Need], rights: Rights, user: tuple[str, str], role: str) -> str:
    """A role of exactly what is missing, for the user; more for the role, if the user has it already."""
    privileges = [privilege(need) for need in needs]
    if role in rights.roles:
        return called(_ROLES, "grantPrivilegesToRole", role, privileges)
    made = called(_ROLES, "createRole", {"role": role, "privileges": privileges, "roles": []})
    name, database = user
    return f"{made}; {called(database, 'grantRolesToUser', name, [{'role': role, 'db': _ROLES}])}"


def _held(rights: Rights) -> str:
    if rights.user is None:
        return "the server asks nobody for a name: access control is off"
    return f"user {rights.user[0]} has all that is needed"


async def _asks(client: AsyncMongoClient[Any]) -> bool:
    """Whether a command is refused because we have not said who we are."""
    try:
        await client.admin.command("listDatabases", nameOnly=True)
    except OperationFailure as error:
        return (error.details or {}).get("code") == _UNAUTHORIZED
    return False
