"""What the tests of all plugins share: the real servers of the suite."""

from __future__ import annotations

from tests.conftest import fresh_database, mongo

__all__ = ["fresh_database", "mongo"]
