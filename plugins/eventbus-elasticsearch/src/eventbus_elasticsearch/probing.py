"""Looks at a cluster without writing: who answers, whether it lets us in, and what it has."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from eventbus.sdk import ConfigurationError, ProbeStep, Unreachable
from eventbus_elasticsearch.cluster import Answer, Cluster, NoAnswer

__all__ = ["greeted", "looked_at"]

_OLDEST: Final = (7, 17)
_USUAL_GC: Final = "60s"


async def greeted(cluster: Cluster, hosts: int) -> str:
    """Find a node that answers and lets us in.

    Args:
        cluster: Who is asked.
        hosts: How many nodes there are to be asked.

    Returns:
        Who answered, for people.

    Raises:
        Unreachable: None of them.
        ConfigurationError: One answered that is too old.
    """
    reasons = []
    for _ in range(hosts):
        host = cluster.host
        try:
            answer = await cluster.ask("GET", "/")
        except NoAnswer as error:
            reasons.append(str(error))
            continue
        if answer.status < 300 or answer.status == HTTPStatus.FORBIDDEN:  # who may only write, may not ask
            return f"{_called(answer)} at {host}"
        why = "it does not know us" if answer.status == HTTPStatus.UNAUTHORIZED else "it is not well"
        reasons.append(f"{host}: answered {answer.status}: {why}")
        if host == cluster.host:
            cluster.pass_over()
    raise Unreachable("; ".join(reasons))


def _called(answer: Answer) -> str:
    version = answer.json().get("version")
    if not isinstance(version, dict):
        return "a server that does not tell its version"
    number = str(version.get("number", ""))[:20]
    if version.get("distribution") == "opensearch":
        return f"OpenSearch {number}"
    parts = tuple(int(part) for part in number.split(".")[:2] if part.isdecimal())
    if parts and parts < _OLDEST:
        raise ConfigurationError(f"Elasticsearch {number} is too old: it must be 7.17 or newer")
    return f"Elasticsearch {number}"


async def looked_at(
    cluster: Cluster, index: str | None, privileges: list[str]
) -> AsyncGenerator[ProbeStep, None]:
    """Steps beyond the connection: the cluster's health, and the index if there is only one.

    What we may not ask, or this server does not know, is passed over.
    """
    try:
        health = await cluster.ask("GET", "/_cluster/health?filter_path=status")
        if health.status < 300:
            status = str(health.json().get("status"))
            yield ProbeStep("open", status in {"green", "yellow"}, f"the cluster is {status}")
        if index is not None:
            yield await _rights(cluster, index, privileges)
            yield await _index(cluster, index)
    except NoAnswer as error:
        yield ProbeStep("open", False, str(error))


async def _rights(cluster: Cluster, index: str, privileges: list[str]) -> ProbeStep:
    """Elasticsearch tells rights; of OpenSearch they are known only when it is written to."""
    wanted = json.dumps({"index": [{"names": [index], "privileges": privileges}]}).encode()
    headers = {"Content-Type": "application/json"}
    answer = await cluster.ask("POST", "/_security/user/_has_privileges", wanted, headers)
    granted = answer.json().get("index")
    given = granted.get(index) if isinstance(granted, dict) else None
    missing = [one for one in privileges if not given.get(one)] if isinstance(given, dict) else []
    if missing:
        return ProbeStep("authenticate", False, f"we lack on {index}: {', '.join(missing)}")
    known = "we may write" if isinstance(given, dict) else "the server does not tell what we may"
    return ProbeStep("authenticate", True, known)


async def _index(cluster: Cluster, index: str) -> ProbeStep:
    place = quote(index, safe="")
    answer = await cluster.ask("GET", f"/{place}/_settings?flat_settings=true")
    if answer.status == HTTPStatus.NOT_FOUND:
        return ProbeStep(
            "open", True, f"there is no index {index} yet: its first document makes it, if it may"
        )
    if answer.status >= 300:
        return ProbeStep("open", True, f"we may not look at {index}")
    settings = [one.get("settings", {}) for one in answer.json().values() if isinstance(one, dict)]
    kept = {str(one.get("index.gc_deletes", _USUAL_GC)) for one in settings}
    return ProbeStep("open", True, f"{index} knows deletes for {', '.join(sorted(kept))} (index.gc_deletes)")
