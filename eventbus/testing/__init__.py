"""Contract checks that any sink must pass, for the authors of plugins and for the built-in sinks alike."""

import pytest

pytest.register_assert_rewrite(
    "eventbus.testing.committing",
    "eventbus.testing.driving",
    "eventbus.testing.sinks",
    "eventbus.testing.transactions",
)

from eventbus.testing.harness import Changes, PlainEncoder, Received, SinkHarness, TargetOutage  # noqa: E402 - after the rewrite hook
from eventbus.testing.sinks import SinkContract, SinkOutageContract, SinkRejectionContract  # noqa: E402 - as above
from eventbus.testing.transactions import (  # noqa: E402 - as above
    TransactionContract,
    TransactionOutageContract,
    TransactionRejectionContract,
)

__all__ = [
    "Changes",
    "PlainEncoder",
    "Received",
    "SinkContract",
    "SinkHarness",
    "SinkOutageContract",
    "SinkRejectionContract",
    "TargetOutage",
    "TransactionContract",
    "TransactionOutageContract",
    "TransactionRejectionContract",
]
