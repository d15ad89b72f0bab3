"""What users write about the form of messages arrives at the encoders; what cannot be is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbus.assembly import shared_sinks, spec_of
from eventbus.config import Config, load
from eventbus.encoding.claims import ClaimCheck
from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry
from eventbus.runtime.subscription import SubscriptionSpec
from eventbus.sdk import Encoder, SourceContext
from eventbus.sinks.claiming import ClaimingSink
from tests.encoding.changes import change

SINKS = {
    "topic": {"type": "kafka", "bootstrap_servers": "localhost:9092", "topic": "t"},
    "hook": {"type": "webhook", "url": "http://localhost/"},
    "feed": {"type": "redis", "url": "redis://localhost", "mode": "stream", "stream": "s"},
    "lines": {"type": "stdout"},
}


def _config(folder: Path, *routes: Any, source: Any = None, **sections: Any) -> Config:
    file = folder / "c.yaml"
    subscription = {"source": {"database": "shop", **(source or {})}, "routes": list(routes)}
    whole = {
        "mongodb": {"uri": "mongodb://localhost/?replicaSet=rs0"},
        "sinks": SINKS,
        "subscriptions": {"orders": subscription},
        **sections,
    }
    file.write_text(yaml.safe_dump(whole))
    return load([file], Registry.from_entry_points(), {})


def _spec(config: Config) -> SubscriptionSpec:
    declared = config.subscriptions["orders"].source
    source = declared.cls(declared.options, SourceContext("orders", client=None, own_database=None))
    return spec_of(config, "orders", source, shared_sinks(config), drain_timeout_secs=1.0)


def _encoders(config: Config) -> dict[str, Encoder]:
    return {name: route.encoder for name, route in _spec(config).routes.items()}


def test_routes_of_equal_encoding_share_an_encoder_whatever_their_sinks(tmp_path: Path) -> None:
    """But where the sink makes a difference: other headers, other tombstones."""
    plain = {"json": "plain"}
    binary, document = {"mode": "binary"}, {"envelope": "document"}
    config = _config(
        tmp_path,
        *("topic", "hook", "lines", {"sink": "topic", "name": "default", "encoding": {}}),
        *({"sink": sink, "name": f"{sink}-plain", "encoding": plain} for sink in ("topic", "feed")),
        *({"sink": sink, "name": f"{sink}-binary", "encoding": binary} for sink in ("topic", "hook")),
        *(
            {"sink": sink, "name": f"{sink}-document", "encoding": document}
            for sink in ("topic", "hook", "feed")
        ),
        source={"full_document": "update_lookup"},
    )
    found = _encoders(config)
    assert isinstance(found["topic"], CloudEventsEncoder)
    assert found["topic"] is found["hook"] is found["lines"] is found["default"]
    assert found["topic-plain"] is found["feed-plain"] is not found["topic"]
    assert found["topic-binary"] is not found["hook-binary"]
    assert found["topic-document"] is not found["hook-document"]


def test_a_route_has_its_own_keys_over_the_defaults(tmp_path: Path) -> None:
    """Key by key; a null takes a claim check away."""
    defaults = {"encoding": {"json": "plain", "envelope": "change", "claim_check": {"above": "1KiB"}}}
    routes = ["topic", {"sink": "hook", "encoding": {"envelope": "debezium", "claim_check": None}}]
    config = _config(tmp_path, *routes, defaults=defaults)
    topic, hook = (route.encoding for route in config.subscriptions["orders"].routes)
    assert (topic.envelope, topic.json_mode, topic.claim_check and topic.claim_check.above) == (
        "change",
        "plain",
        1024,
    )
    assert (hook.envelope, hook.json_mode, hook.claim_check) == ("debezium", "plain", None)
    sinks = shared_sinks(config)
    assert isinstance(sinks["topic"].sink, ClaimingSink)
    assert not isinstance(sinks["hook"].sink, ClaimingSink), "only where it is asked for"
    assert isinstance(_encoders(config)["topic"], ClaimCheck)


def test_a_replay_is_encoded_as_the_route_is(tmp_path: Path) -> None:
    """And marked; dead letters are copied in the default envelope."""
    config = _config(tmp_path, {"sink": "hook", "encoding": {"mode": "binary", "body": "{document.status}"}})
    encoder = _spec(config).routes["hook"].replay_encoder("op7")
    assert encoder.encode(change()) == b'"paid"'
    assert dict(encoder.headers(change()))["ce-replay"] == b"op7"


PLACE = "subscriptions.orders.routes[0].encoding"


@pytest.mark.parametrize(
    ("route", "sections", "problem"),
    [
        ({"sink": "feed", "encoding": {"mode": "binary"}}, {}, "mode: binary needs a sink with headers"),
        (
            {"sink": "lines", "encoding": {"format": "bson", "envelope": "change"}},
            {},
            "format: bson is no text",
        ),
        ("feed", {"defaults": {"encoding": {"mode": "binary"}}}, "mode: binary needs a sink with headers"),
        ({"sink": "feed", "encoding": {"body": ["{documnt}"]}}, {}, "body: unknown name {documnt}"),
        ({"sink": "feed", "encoding": {"fields": ["a..b"]}}, {}, "fields[0]: expected the path of a field"),
        ({"sink": "feed", "encoding": {"without": ["$a"]}}, {}, "without[0]: expected the path of a field"),
        (
            {"sink": "feed", "encoding": {"claim_check": {"bucket": "a$b"}}},
            {},
            "claim_check.bucket: a bucket",
        ),
        ({"sink": "feed", "encoding": {"claim_check": {"above": "0B"}}}, {}, "claim_check.above: must be"),
        (
            {"sink": "feed", "encoding": {"claim_check": {}}},
            {"state": {"type": "sqlite", "path": "s.db"}},
            "claim_check: needs state of type mongodb",
        ),
        (
            {"sink": "feed", "encoding": {"envelope": "document"}},
            {},
            "envelope: document needs the documents",
        ),
        (
            {"sink": "feed", "encoding": {"envelope": "change"}},
            {"source": {"before": "when_available", "delta": True}},
            "envelope: change has no place for the source's delta",
        ),
        (
            {"sink": "feed", "encoding": {"without": ["a"]}},
            {"source": {"before": "when_available", "delta": True}},
            "without: cannot look into",
        ),
        (
            {"sink": "feed", "encoding": {"envlope": "change"}},
            {},
            "unknown key 'envlope', did you mean 'envelope'?",
        ),
        ({"sink": "feed", "encoding": {"json": "pretty"}}, {}, "json: "),
    ],
)
def test_what_cannot_be_is_said_at_its_place(
    tmp_path: Path, route: Any, sections: dict[str, Any], problem: str
) -> None:
    """Before anything runs."""
    with pytest.raises(ConfigurationError) as caught:
        _config(tmp_path, route, **sections)
    (said,) = caught.value.problems
    assert f": {PLACE}" in said
    assert problem in said


MASK = {"mask": {"fields": {"email": "redact"}}}


@pytest.mark.parametrize(
    ("route", "pipeline", "omits"),
    [
        ({}, [], ""),
        ({}, [MASK], "a stage mask of the route hides fields"),
        ({"pipeline": [{"drop": ["email"]}]}, [], "a stage drop of the route hides fields"),
        ({"pipeline": [{"project": ["status"]}]}, [], "a stage project of the route hides fields"),
        ({"encoding": {"without": ["email"]}}, [], "the encoding of the route leaves fields out"),
        ({"encoding": {"fields": ["status"]}}, [], "the encoding of the route leaves fields out"),
        ({"dead_letters": {"documents": "always"}}, [MASK], ""),
        ({"dead_letters": {"documents": "never"}}, [], "dead_letters.documents is never"),
    ],
)
def test_what_a_sink_does_not_see_its_dead_letter_sink_does_not_see_either(
    tmp_path: Path, route: dict[str, Any], pipeline: list[Any], omits: str
) -> None:
    """Unless that is said: a dead letter is the event before any stage."""
    config = _config(
        tmp_path,
        defaults={"dead_letters": {"sink": "topic"}},
        subscriptions={
            "orders": {
                "source": {"database": "shop"},
                "pipeline": pipeline,
                "routes": [{"sink": "hook", **route}],
            }
        },
    )
    copies_to = _spec(config).routes["hook"].copies_to
    assert copies_to is not None
    assert copies_to.omits == omits
