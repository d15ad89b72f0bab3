"""A reader that goes on with a snapshot gives no document among changes that an earlier one gave."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from eventbus.sdk import SnapshotSource
from tests.sources.watching import HANG_SECS, Watch, document

pytestmark = [pytest.mark.anyio, pytest.mark.services]

MANY = 2500
"""More changes than come at once."""


async def test_documents_come_behind_all_changes_up_to_the_present(watch: Watch) -> None:
    """Else a sink that has them would get an older state, and then know the newer ones by their ids."""
    source = watch.source()
    assert isinstance(source, SnapshotSource)
    await watch.database.orders.insert_many([{"_id": number, "v": 0} for number in range(10)])
    start = replace(await source.now(), snapshot=await source.begin_snapshot("snap"))
    await watch.database.orders.insert_many([{"_id": 10 + number, "v": 1} for number in range(MANY)])
    await watch.database.orders.update_many({"_id": {"$lt": 10}}, {"$set": {"v": 2}})
    reader = source.reader(start)
    changes, states = 0, list[int]()
    with anyio.fail_after(HANG_SECS):
        while len(states) < 10:
            batch = await reader.next()
            assert batch is not None
            for slot in batch.slots:
                if slot.event.operation != "read":
                    changes += 1
                    continue
                assert changes == MANY + 10
                states.append(document(slot.event.document)["v"])
    await reader.close()
    assert states[:10] == [2] * 10
