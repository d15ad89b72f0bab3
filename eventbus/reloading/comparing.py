"""Two configurations side by side: what is to end, what is to begin, and what no reload can change. No I/O.

Only what was resolved is compared, so a comment, the order of keys or a default that is written out changes
nothing; but a subscription whose text changed is another version of it, which its dead letters will name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from eventbus.assembly import sink_parts
from eventbus.config import Config, MongoDBAccess, MongoDBState, ResolvedSubscription, SQLiteState

__all__ = ["Difference", "difference", "same", "sinks_of"]

_CHANGEABLE = frozenset({"sinks", "subscriptions", "notices"})
_ENCRYPTION = frozenset({"tls", "tlsCAFile", "tlsCertificateKeyFile", "tlsCertificateKeyFilePassword"})
_KEYS_OF_SETTINGS = {**dict.fromkeys(_ENCRYPTION, "tls"), "authMechanism": "tls"}


@dataclass(frozen=True, slots=True)
class Difference:
    """What another configuration would change.

    Args:
        fixed: Keys that differ and that only a restart of the daemon can change.
        added: Subscriptions that there were not.
        removed: Subscriptions that there are no more.
        changed: Subscriptions that are made from something else, or whose sinks are.
        new_sinks: Sinks that are to be made: added ones, and changed ones anew.
        old_sinks: Sinks that are to be closed: removed ones, and changed ones.
        notices: Whether something else is to be told, or by another sink.
    """

    fixed: Sequence[str]
    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]
    new_sinks: AbstractSet[str]
    old_sinks: AbstractSet[str]
    notices: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        lists = (self.fixed, self.added, self.removed, self.changed, self.new_sinks, self.old_sinks)
        return not any(lists) and not self.notices


def difference(old: Config, new: Config) -> Difference:
    """What has to happen for `new` to be in force where `old` is."""
    kept = old.sinks.keys() & new.sinks.keys()
    changed_sinks = {name for name in kept if not same(sink_parts(old, name), sink_parts(new, name))}
    before, after = old.subscriptions, new.subscriptions
    changed = [
        name
        for name, declared in after.items()
        if name in before and (sinks_of(declared) & changed_sinks or not same(before[name], declared))
    ]
    return Difference(
        fixed=_fixed(old, new),
        added=[name for name in after if name not in before],
        removed=[name for name in before if name not in after],
        changed=changed,
        new_sinks=changed_sinks | (new.sinks.keys() - kept),
        old_sinks=changed_sinks | (old.sinks.keys() - kept),
        notices=not same(old.notices, new.notices)
        or (old.notices is not None and old.notices.sink in changed_sinks),
    )


def same(one: Any, other: Any) -> bool:
    """Whether two parts of a configuration say the same. What cannot be told counts as different.

    It is no mere ``==``: a variable that was 1 and is true gives another filter, but one that is equal.
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    parts, others = _parts(one), _parts(other)
    if parts is None or others is None:
        return bool(one == other)
    return parts.keys() == others.keys() and all(same(parts[key], others[key]) for key in parts)


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """What a value consists of, by name; None if that cannot be seen."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, BaseModel):
        return vars(value)
    if is_dataclass(value):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    return None


def sinks_of(subscription: ResolvedSubscription) -> set[str]:
    """The sinks that its routes and their dead letters go to."""
    used = {route.sink for route in subscription.routes}
    return used | {route.dead_letters.sink for route in subscription.routes if route.dead_letters.sink}


def _fixed(old: Config, new: Config) -> list[str]:
    """The keys, as users write them, of all that differs outside of what can be changed."""
    found: list[str] = []
    for part in fields(Config):
        if part.name not in _CHANGEABLE:
            found += _keys(part.name, getattr(old, part.name), getattr(new, part.name))
    return list(dict.fromkeys(found))


def _keys(name: str, old: Any, new: Any) -> list[str]:
    if same(old, new):
        return []
    match old, new:
        case (MongoDBAccess(), MongoDBAccess()):
            return _keys_of_access(name, old, new)
        case (MongoDBState(), MongoDBState()):
            own = ["state.database"] if old.database != new.database else []
            return own + _keys_of_access("state", old.access, new.access)
        case (SQLiteState(), SQLiteState()):
            return ["state.path"]
        case (BaseModel(), BaseModel()) if type(old) is type(new):
            keys = [key for key in type(old).model_fields if not same(getattr(old, key), getattr(new, key))]
            return [f"{_written(name)}.{key}" for key in keys]
    return [_written(name)]


def _keys_of_access(name: str, old: MongoDBAccess, new: MongoDBAccess) -> list[str]:
    missing = object()
    differing = [
        key
        for key in {**old.settings, **new.settings}
        if old.settings.get(key, missing) != new.settings.get(key, missing)
    ]
    uri = ["uri"] if old.uri != new.uri else []
    return [f"{name}.{key}" for key in [*uri, *(_KEYS_OF_SETTINGS.get(key, key) for key in differing)]]


def _written(name: str) -> str:
    """Where a part of the configuration stands."""
    return {"read_preference": "mongodb.read_preference", "heartbeat": "mongodb.heartbeat"}.get(name, name)
