"""What the tests of all plugins share: the real servers of the suite, and those that only packages need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventbus.devservices import OpenSearchService, Unavailable
from tests.conftest import fresh_database, mongo

__all__ = ["fresh_database", "mongo", "opensearch"]


@pytest.fixture(scope="session")
def opensearch() -> Iterator[OpenSearchService]:
    """A real server, which nobody kills; it takes seconds to start."""
    try:
        service = OpenSearchService.start()
    except Unavailable as error:
        pytest.fail(str(error), pytrace=False)
    with service:
        yield service
