"""What the driver tells of its connections and of the servers behind them, as metrics."""
# ruff: noqa: D102, ARG002 - the driver says what is told, and with which arguments

from __future__ import annotations

from pymongo import monitoring
from pymongo.topology_description import TopologyDescription

from eventbus.telemetry.metrics import ClientMetrics

__all__ = ["ConnectionEvents"]


class ConnectionEvents(
    monitoring.ConnectionPoolListener, monitoring.ServerHeartbeatListener, monitoring.TopologyListener
):
    """A listener for one client of the driver; it is called in between and does no more than count.

    Args:
        client: What the client is for: a label, so one of few.
    """

    def __init__(self, client: str) -> None:
        self._metrics = ClientMetrics(client)

    def connection_created(self, event: monitoring.ConnectionCreatedEvent) -> None:
        self._metrics.connection_opened()

    def connection_closed(self, event: monitoring.ConnectionClosedEvent) -> None:
        self._metrics.connection_gone()

    def connection_checked_out(self, event: monitoring.ConnectionCheckedOutEvent) -> None:
        self._metrics.connection_taken()

    def connection_checked_in(self, event: monitoring.ConnectionCheckedInEvent) -> None:
        self._metrics.connection_returned()

    def connection_check_out_failed(self, event: monitoring.ConnectionCheckOutFailedEvent) -> None:
        self._metrics.checkout_failed(event.reason)

    def pool_cleared(self, event: monitoring.PoolClearedEvent) -> None:
        self._metrics.connections_dropped()

    def failed(self, event: monitoring.ServerHeartbeatFailedEvent) -> None:
        self._metrics.server_check_failed()

    def description_changed(self, event: monitoring.TopologyDescriptionChangedEvent) -> None:
        if _roles(event.previous_description) != _roles(event.new_description):
            self._metrics.topology_changed()

    def pool_created(self, event: monitoring.PoolCreatedEvent) -> None:
        """Nothing to count, like all that follows."""

    def pool_ready(self, event: monitoring.PoolReadyEvent) -> None: ...

    def pool_closed(self, event: monitoring.PoolClosedEvent) -> None: ...

    def connection_ready(self, event: monitoring.ConnectionReadyEvent) -> None: ...

    def connection_check_out_started(self, event: monitoring.ConnectionCheckOutStartedEvent) -> None: ...

    def started(self, event: monitoring.ServerHeartbeatStartedEvent) -> None: ...

    def succeeded(self, event: monitoring.ServerHeartbeatSucceededEvent) -> None: ...

    def opened(self, event: monitoring.TopologyOpenedEvent) -> None: ...

    def closed(self, event: monitoring.TopologyClosedEvent) -> None: ...


def _roles(topology: TopologyDescription) -> dict[object, int]:
    return {address: server.server_type for address, server in topology.server_descriptions().items()}
