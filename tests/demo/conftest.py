"""What the demo's tests share."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The demo runs on asyncio alone: its drivers do."""
    return "asyncio"
