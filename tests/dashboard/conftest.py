"""The pages on a store of each test's own."""

from collections.abc import Iterator

import pytest

from sparsecore.dashboard import session, visitor
from sparsecore.runs.store.store import Store


@pytest.fixture
def served(store: Store) -> Iterator[Store]:
    """The pages' store is this test's, and nobody has looked at a page yet."""
    session.the_store.cache_clear()
    visitor._seen.cache_clear()
    yield store
    session.the_store.cache_clear()
