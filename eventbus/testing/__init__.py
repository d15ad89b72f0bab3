"""Contract checks that any sink, source or stage must pass, built in or of a plugin."""

import pytest

pytest.register_assert_rewrite(
    "eventbus.testing.committing",
    "eventbus.testing.driving",
    "eventbus.testing.sinks",
    "eventbus.testing.sources",
    "eventbus.testing.stages",
    "eventbus.testing.transactions",
)

from eventbus.testing.harness import (  # noqa: E402 - after the rewrite hook
    Changes,
    PlainEncoder,
    Received,
    SinkHarness,
    StageHarness,
    TargetOutage,
)
from eventbus.testing.sinks import SinkContract, SinkOutageContract, SinkRejectionContract  # noqa: E402 - as above
from eventbus.testing.sources import (  # noqa: E402 - as above
    SourceContract,
    SourceHarness,
    SourceOutage,
    SourceOutageContract,
)
from eventbus.testing.stages import StageContract  # noqa: E402 - as above
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
    "SourceContract",
    "SourceHarness",
    "SourceOutage",
    "SourceOutageContract",
    "StageContract",
    "StageHarness",
    "TargetOutage",
    "TransactionContract",
    "TransactionOutageContract",
    "TransactionRejectionContract",
]
