"""Two daemons that are in trouble: one whose routes are, and one whose MongoDB stalls and forgets.

Each subscription has one trouble, which is its name, that of its collection and of its sink.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.dist.receiver import Receiver

__all__ = ["IDLE", "ROUTES", "of_routes", "of_the_store"]

ROUTES: Final = ("asking", "broken", "crashing", "down", "gone", "large", "once", "refused")
IDLE: Final = tuple(f"idle{number:02}" for number in range(12))
"""All but the first have dead letters that cannot be stored either, and ask for it all the time: more of them
than there are connections, when the state store does not answer."""
_TWICE: Final = {"$set": {"fullDocument": {"one": "$fullDocument", "two": "$fullDocument"}}}
_DEFAULTS: Final[Mapping[str, Any]] = {
    "window": {"events": 4},
    "retry": {"attempts": 2, "initial_delay": "50ms", "max_delay": "200ms"},
    "circuit": {"failures": 2, "initial_open": "200ms", "max_open": "1s"},
}


def of_routes(uri: str, database: str, away: Receiver, copies: Receiver, there: Receiver) -> dict[str, Any]:
    """The configuration of the daemon whose routes are in trouble.

    Args:
        uri: MongoDB.
        database: Names what is read, and begins the names of what is written.
        away: A receiver that will be away.
        copies: The one of dead letters, which will be away, too.
        there: One that is always there, and says no.
    """
    urls = {name: away.url(name) for name in ("asking", "down", "crashing")}
    urls |= {"copies": copies.url("copies")} | {
        name: there.url(name) for name in ("broken", "gone", "large", "refused")
    }
    target = {"type": "mongodb", "uri": uri, "database": f"{database}_target", "collection": "copies"}
    target |= {"positions": f"{database}_target.positions", "mode": "insert"}
    routes: dict[str, Any] = {name: name for name in ROUTES}
    routes["once"] = {"sink": "once", "delivery": "exactly_once"}
    routes["refused"] = {"sink": "refused", "dead_letters": {"sink": "copies"}}
    subscriptions: dict[str, Any] = {
        name: {"source": {"database": database, "collections": [name]}, "routes": [routes[name]]}
        for name in ROUTES
    }
    subscriptions["asking"]["pipeline"] = [
        {"http_lookup": {"url": away.url("asking/{document._id}"), "into": "document.answer"}}
    ]
    subscriptions["crashing"]["source"]["before"] = "required"
    subscriptions["large"]["source"]["pipeline"] = [_TWICE]
    return {
        "mongodb": {"uri": uri, "heartbeat": {"every": "500ms", "database": database}},
        "state": {"type": "mongodb", "database": f"{database}_state"},
        "log": {"format": "json"},
        "daemon": {"instance": "routes"},
        "dead_letters": {"max_letters": 3, "when_full": "drop_oldest"},
        "defaults": _DEFAULTS,
        "sinks": {name: _webhook(url) for name, url in urls.items()} | {"once": target},
        "subscriptions": subscriptions,
    }


def of_the_store(uri: str, away: Receiver, there: Receiver) -> dict[str, Any]:
    """The configuration of the daemon whose MongoDB stalls and forgets; see `of_routes`."""
    names = ("behind", "full", *IDLE)
    return {
        "mongodb": {"uri": uri},
        "log": {"format": "json"},
        "daemon": {"instance": "store", "lease": "12s", "checkpoint_every": "200ms"},
        "dead_letters": {"max_letters": 1},
        "defaults": _DEFAULTS,
        "sinks": {
            "behind": _webhook(away.url("behind")),
            "full": _webhook(there.url("full")),
            "nowhere": {"type": "discard"},
        },
        "subscriptions": {
            name: {
                "source": {
                    "database": "shop",
                    "collections": [name],
                    "on_position_lost": "stop" if name == "behind" else "now",
                },
                "routes": [{IDLE[0]: "nowhere", "behind": "behind"}.get(name, "full")],
            }
            for name in names
        },
    }


def _webhook(url: str) -> dict[str, Any]:
    return {"type": "webhook", "url": url, "timeout": "2s"}
