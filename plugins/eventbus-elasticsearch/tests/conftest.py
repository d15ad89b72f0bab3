"""One OpenSearch for all tests of this folder: it takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventbus.devservices import OpenSearchService, Unavailable


@pytest.fixture(scope="session")
def opensearch() -> Iterator[OpenSearchService]:
    """A real server, which nobody kills."""
    try:
        service = OpenSearchService.start()
    except Unavailable as error:
        pytest.fail(str(error), pytrace=False)
    with service:
        yield service
