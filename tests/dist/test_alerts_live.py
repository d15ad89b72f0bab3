"""Each alert fires by what it is for: real daemons on real servers in real trouble, and a real Prometheus.

The rules are those that are shipped, with shorter durations. A story is told once for all of them: all is
well, all kinds of trouble come, all of them go; each alert must have fired by its own, and must have ended.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from eventbus.devservices import MongoService
from eventbus.devservices.tools import tool
from tests.dist.alert_story import CAUSES, Story, Teller
from tests.dist.monitoring import ALERTS, RECORDS, metrics_in

pytestmark = [pytest.mark.dist, pytest.mark.services, pytest.mark.alone, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def story(mongo: MongoService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Told once."""
    with ExitStack() as stack:
        teller = Teller(stack, mongo, tmp_path_factory)
        yield teller.tell()


def test_every_alert_has_a_cause() -> None:
    """In the order of the file: a new alert is proven here, or the build fails."""
    assert list(CAUSES) == list(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_it_fires_by_its_cause(name: str, story: Story) -> None:
    """With the labels of what is in trouble."""
    fired = story.fired.get(name, [])
    assert any(CAUSES[name].items() <= labels.items() for labels in fired), fired


def test_none_fires_while_all_is_well(story: Story) -> None:
    """Two daemons that carry what there is."""
    assert story.while_well == {}


def test_each_ends_with_its_cause(story: Story) -> None:
    """Once everything is mended and the windows have passed."""
    assert story.in_the_end == {}


def test_the_metrics_of_live_daemons_are_metrics(story: Story) -> None:
    """By Prometheus' own tool: names, types, units, help."""
    for text in story.metrics:
        words = [*tool("promtool").argv, "check", "metrics"]
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_metric_of_the_rules_has_moved(story: Story) -> None:
    """So the tool has looked at each of them."""
    texts = [*RECORDS.values(), *(rule["expr"] for rule in ALERTS.values())]
    asked = {name for text in texts for name in metrics_in(text)} - RECORDS.keys()
    moved = {
        family.name + ("_total" if family.type == "counter" else "")
        for text in story.metrics
        for family in text_string_to_metric_families(text)
        if family.samples
    }
    assert asked - moved == set()
