"""Every problem that can be found, with its code: docs/doctor.md shows the same table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from eventbus.doctor.findings import Finding, Problem, Verdict

__all__ = ["CATALOGUE", "found"]

_FAIL, _WARN = Verdict.FAIL, Verdict.WARN

_PROBLEMS: Final = (
    Problem(
        "topology.unreachable",
        _FAIL,
        "No server of `mongodb.uri` answers.",
        "Start it, or correct the address, or open the network between it and here.",
    ),
    Problem(
        "topology.refused",
        _FAIL,
        "The server, or the driver, refuses the address, the name or the password of `mongodb`.",
        "Correct `mongodb.uri`, `mongodb.username`, `mongodb.password` or `mongodb.tls`.",
    ),
    Problem(
        "topology.standalone",
        _FAIL,
        "The server is a standalone one, and has no change streams.",
        "Start it with `--replSet rs0` and run `rs.initiate()`.",
    ),
    Problem(
        "topology.no_member",
        _FAIL,
        "No server there is a member of the replica set that `mongodb.uri` names.",
        "Correct `replicaSet` in `mongodb.uri`; make a standalone server a replica set.",
    ),
    Problem(
        "version.too_old",
        _FAIL,
        "The server is older than 6.0.",
        "Upgrade it to 6.0.9 or later.",
    ),
    Problem(
        "version.no_split",
        _WARN,
        "The server cannot split a change that is larger than 16 MiB: it is parked without content.",
        "Upgrade it to 6.0.9 or later, or to 7.0.",
    ),
    Problem(
        "clock.skew",
        _WARN,
        "This clock and the server's differ by more than 2 s, and so lag, ages and `retry.max_age`.",
        "Have both follow a time server: `timedatectl set-ntp true`.",
    ),
    Problem(
        "pool.few_connections",
        _WARN,
        "The server has fewer connections left than the daemon may open.",
        "Raise `net.maxIncomingConnections` of the server, or lower `catch_up.max_readers`.",
    ),
    Problem(
        "privileges.nobody",
        _FAIL,
        "The server asks who we are, and the configuration does not say.",
        "Give `mongodb.username` and `mongodb.password`, or `state.username` and `state.password`.",
    ),
    Problem(
        "privileges.source",
        _FAIL,
        "The user may not read what a subscription reads, or what its stages look up.",
        "Type the `createRole` and `grantRolesToUser` that are shown, as an administrator.",
    ),
    Problem(
        "privileges.state",
        _FAIL,
        "The user may not keep the state.",
        "Type the `createRole` and `grantRolesToUser` that are shown, as an administrator.",
    ),
    Problem(
        "privileges.oplog",
        _WARN,
        "The user may not read `local.oplog.rs`: headroom is not known, and `oldest` cannot be used.",
        "Type the `createRole` and `grantRolesToUser` that are shown, as an administrator.",
    ),
    Problem(
        "privileges.heartbeat",
        _WARN,
        "The user may not write the heartbeat's document.",
        "Type the `createRole` and `grantRolesToUser` that are shown, or leave the heartbeat out.",
    ),
    Problem(
        "stream.refused",
        _FAIL,
        "The server refuses the change stream of a subscription, for instance its `match`.",
        "Correct what the text names.",
    ),
    Problem(
        "oplog.unknown",
        _WARN,
        "The oplog cannot be asked, as through a `mongos`.",
        "Look at each shard's oplog by hand: `rs.printReplicationInfo()`.",
    ),
    Problem(
        "oplog.short",
        _WARN,
        "At its pace the oplog reaches back for less than a day: a longer outage loses changes.",
        "Make it larger with the `replSetResizeOplog` that is shown, on each member.",
    ),
    Problem(
        "oplog.position_lost",
        _FAIL,
        "The oplog no longer has what comes after a route's position.",
        "Decide what becomes of the route: `eventbus position set` or `eventbus snapshot`.",
    ),
    Problem(
        "oplog.position_near",
        _WARN,
        "A route's position is less than `daemon.headroom_warning` ahead of what the oplog forgets.",
        "See what holds the route up: `eventbus status`. Until then make the oplog larger.",
    ),
    Problem(
        "images.missing",
        _FAIL,
        "A collection keeps no images, and the subscription requires them: it stops at the first change.",
        "Type the `collMod` that is shown.",
    ),
    Problem(
        "images.unavailable",
        _WARN,
        "A collection keeps no images, and the subscription takes them when available: they never are.",
        "Type the `collMod` that is shown, or do not ask for images.",
    ),
    Problem(
        "images.no_collection",
        _WARN,
        "A collection of which images are wanted is not there; one that an insert makes keeps none.",
        "Type the `create` that is shown.",
    ),
    Problem(
        "images.unknown",
        _WARN,
        "The settings of the collections cannot be asked for.",
        "Grant the user the privilege `listCollections` on the database.",
    ),
    Problem(
        "state.unreachable",
        _FAIL,
        "The state store does not answer.",
        "Start it, or correct `state.uri`, or open the network between it and here.",
    ),
    Problem(
        "state.refused",
        _FAIL,
        "The state store refuses us, or cannot be used.",
        "Correct what the text names.",
    ),
    Problem(
        "state.not_writable",
        _FAIL,
        "The state store can be read, and a write to it fails.",
        "Look at its disk, and at the folder of `state.path`.",
    ),
    Problem(
        "dead_letters.near_limit",
        _WARN,
        "There are four fifths of the dead letters that `dead_letters.max_letters` allows.",
        "See what they are: `eventbus dlq list`. Then `eventbus dlq replay` or `eventbus dlq discard`.",
    ),
    Problem(
        "dead_letters.full",
        _FAIL,
        "Dead letters are as many as `dead_letters.max_letters` allows: routes wait, or drop the oldest.",
        "`eventbus dlq replay` or `eventbus dlq discard`, or a higher limit, or `dead_letters.retention`.",
    ),
    Problem(
        "sink.unreachable",
        _FAIL,
        "A sink's target cannot be reached, or not yet be used.",
        "Type the `eventbus sink test` that is shown: it prints each step.",
    ),
    Problem(
        "sink.refused",
        _FAIL,
        "A sink's options turn out to be wrong.",
        "Correct what the text names.",
    ),
    Problem(
        "sink.not_delivered",
        _FAIL,
        "With `--write`: the target does not take a marked event.",
        "Type the `eventbus sink test` that is shown: it prints each step.",
    ),
)

CATALOGUE: Final[Mapping[str, Problem]] = {problem.code: problem for problem in _PROBLEMS}
"""Every problem that can be found, by its code."""


def found(code: str, text: str, *, about: str = "", mend: str = "") -> Finding:
    """Something of the catalogue.

    Args:
        code: Its code.
        text: What was seen.
        about: What it is about.
        mend: What to type; by default what the catalogue says in general.
    """
    problem = CATALOGUE[code]
    return Finding(code, problem.verdict, about, text, mend or problem.mend)
