"""The driver looks less often whether an operation was cancelled, as long as it waits as we know it."""

from __future__ import annotations

import pytest
from pymongo import network_layer

from eventbus.sources.mongodb.cancellations import LOOK_EVERY_SECS, look_seldom
from eventbus.sources.mongodb.client import stream_client


@pytest.mark.anyio
async def test_a_client_that_reads_has_the_driver_look_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is the driver's own: where this fails, see how it waits now."""
    monkeypatch.setattr(network_layer, "_POLL_TIMEOUT", 0.5)
    async with stream_client("mongodb://localhost:1", {}, purpose="stream", pool_size=1):
        assert network_layer._POLL_TIMEOUT == LOOK_EVERY_SECS
    assert "_POLL_TIMEOUT" in network_layer._poll_cancellation.__code__.co_names


def test_a_driver_that_waits_otherwise_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(network_layer, "_POLL_TIMEOUT")
    look_seldom()
    assert not hasattr(network_layer, "_POLL_TIMEOUT")
