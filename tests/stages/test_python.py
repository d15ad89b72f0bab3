"""The stage `python`: what a function of the user's own may do, and that nothing it does harms others."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import bson
import pytest

from eventbus.core.backoff import until_reachable
from eventbus.errors import Unreachable
from eventbus.expressions.change import Change
from eventbus.model import ClusterTime, Event, Slot
from eventbus.stages.pipeline import Pipeline
from eventbus.stages.python import Python, PythonOptions
from tests.stages.events import become, change, context, pipeline, problem, run, told

PATIENT = "30s"
"""A timeout that no call here comes near to."""
SHORT = "100ms"
"""A timeout for calls that would never end."""


class Doors:
    """What functions in the files of tests wait at; opened in the end."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.waiting = threading.Semaphore(0)

    def wait(self) -> None:
        self.waiting.release()
        self.open.wait(20)


DOORS: list[Doors] = []
CALLS: list[Any] = []


@pytest.fixture
def doors() -> Iterator[Doors]:
    """A door that is opened in the end, so that no thread is left."""
    DOORS.append(Doors())
    yield DOORS[-1]
    DOORS.pop().open.set()


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes a function `enrich` into a file, and gives the stage that calls it."""

    def written(text: str, **options: Any) -> dict[str, Any]:
        file = tmp_path / "enrich.py"
        file.write_text(textwrap.dedent(text))
        return {"python": {"file": str(file), "function": "enrich", "timeout": PATIENT, **options}}

    return written


Written = Callable[..., dict[str, Any]]


def orders(count: int, **parts: Any) -> list[Event]:
    """Changes of orders, by number."""
    return [
        change(token=f"82{number:04}", document={"_id": number}, **parts) for number in range(1, count + 1)
    ]


def ran(slots: list[Slot]) -> list[Any]:
    """What became of each: its document, or words."""
    found = [told(slot) for slot in slots]
    return [one if isinstance(one, str) else one["document"] for one in found]


def test_the_function_sees_the_event_as_conditions_do(written: Written) -> None:
    """All parts, by the names that conditions have for them."""
    stage = written("""
        from tests.stages.test_python import CALLS
        def enrich(event):
            CALLS.append(event)
            return event
        """)
    event = change(
        document={"_id": 1, "total": 7}, before={"_id": 1}, changed={"total": 7}, removed=["note"],
        attributes={"urgency": "high"}, document_key={"_id": 1},
    )  # fmt: skip
    assert run(pipeline(stage), [event]) == [event]
    (seen,) = CALLS
    assert isinstance(seen, Change)
    assert (seen.operation, seen.database, seen.collection, seen.ns) == (
        "update", "shop", "orders", "shop.orders",
    )  # fmt: skip
    assert seen.event_id == event.id
    assert seen.key == event.key.decode()
    assert seen.cluster_time is not None
    assert seen.cluster_time.timestamp() == ClusterTime(1_700_000_000, 7)[0]
    assert (seen.document, seen.before) == ({"_id": 1, "total": 7}, {"_id": 1})
    assert (seen.changed, seen.removed, seen.document_key) == ({"total": 7}, ("note",), {"_id": 1})
    assert seen.meta == {"urgency": "high"}


def test_what_it_makes_of_its_copies_counts_and_nobody_elses_event_changes(written: Written) -> None:
    """All four of them; the event that it was given stays as it was."""
    stage = written(
        """
        def enrich(event):
            event.document["list"].append(2)
            event.before["old"] = True
            event.changed["list"] = [1, 2]
            event.meta["seen"] = {"by": "enrich"}
            return event
        """,
        sets=["seen"],
    )
    event = change(document={"_id": 1, "list": [1]}, before={"_id": 1}, changed={})
    found = become(event, stage, {"set": {"fields": {"who": "seen.by"}}})
    assert found == {
        "document": {"_id": 1, "list": [1, 2]},
        "before": {"_id": 1, "old": True},
        "changed": {"list": [1, 2]},
        "meta": {"seen": {"by": "enrich"}, "who": "enrich"},
    }
    assert isinstance(event.document, bytes)
    assert bson.decode(event.document) == {"_id": 1, "list": [1]}


@pytest.mark.parametrize(
    ("returned", "becomes"),
    [
        ("event", {"_id": 1, "total": 7}),
        ("None", "dropped"),
        ("{'sum': 1}", {"_id": 1, "sum": 1}),
        ("{'_id': 1.0, 'sum': 1}", {"_id": 1, "sum": 1}),
        ("{'_id': 2}", "document: _id names the document: it stays as it is"),
        ("True", "returned a value of type bool: expected the event, a dict or None"),
        ("[event]", "returned a value of type list: expected the event, a dict or None"),
        ("type(event)(event.event)", "returned another event than it was given"),
        ("{'x': object()}", "document: no document can hold it: InvalidDocument"),
        ("{'x': 1 << 70}", "document: no document can hold it: OverflowError"),
        ("{1: 2}", "document: no document can hold it: InvalidDocument"),
        ("setattr(event, 'document', None) or event", "document became None: expected a dict"),
        ("setattr(event, 'before', {}) or event", "before is set, and the event has none"),
        ("event.meta.update(other=1) or event", "meta has a name that is not among those of sets"),
        ("setattr(event, 'meta', 7) or event", "meta became a value of type int: expected a dict"),
        ("event.meta.update(note=object()) or event", "meta: no document can hold it: InvalidDocument"),
    ],
)
def test_what_it_returns_decides(written: Written, returned: str, becomes: Any) -> None:
    """The event, a document, or nothing; whatever else is no answer."""
    stage = written(f"def enrich(event):\n    return {returned}\n", sets=["note"])
    (found,) = ran(run(pipeline(stage), [change(document={"_id": 1, "total": 7})]))
    expected = f"parked: stage python (1): {becomes}" if isinstance(becomes, str) else becomes
    assert found == (becomes if becomes == "dropped" else expected)


def test_an_event_without_a_document_gets_none(written: Written) -> None:
    """A delete stays one."""
    stage = written("def enrich(event):\n    return {'total': 1}\n")
    event = change(operation="delete", document=None)
    assert become(event, stage) == "parked: stage python (1): document is set, and the event has none"


@pytest.mark.parametrize("word", ["", "async "])
def test_what_it_raises_is_told_by_type_and_line_and_takes_no_other_event_along(
    written: Written, word: str
) -> None:
    """The text of what was raised may hold a value of the document; an exit is like any other."""
    stage = written(f"""
        import sys
        {word}def enrich(event):
            if event.document["_id"] == 2:
                raise ValueError(f"secret {{event.document}}")
            if event.document["_id"] == 3:
                sys.exit(1)
            return event
        """)
    slots = run(pipeline(stage), orders(4))
    assert ran(slots) == [
        {"_id": 1},
        "parked: stage python (1): raised ValueError (enrich.py, line 5)",
        "parked: stage python (1): raised SystemExit (enrich.py, line 7)",
        {"_id": 4},
    ]


def test_something_cancelled_that_it_waited_for_is_no_end_of_the_daemon(written: Written) -> None:
    """It looks like a cancellation of the stage, and is none."""
    stage = written("""
        import asyncio
        async def enrich(event):
            other = asyncio.ensure_future(asyncio.sleep(3600))
            other.cancel()
            await other
        """)
    (found,) = ran(run(pipeline(stage), orders(1)))
    assert found == "parked: stage python (1): raised CancelledError (enrich.py, line 6)"


def test_one_that_blocks_is_given_up_and_the_loop_goes_on(written: Written, doors: Doors) -> None:
    """Its event is parked, and the next one is called for."""
    stage = written(
        """
        from tests.stages.test_python import DOORS
        def enrich(event):
            if event.document["_id"] == 1:
                DOORS[-1].wait()
            return event
        """,
        timeout="300ms",
    )
    turns = 0

    async def applied() -> list[Slot]:
        nonlocal turns
        async with anyio.create_task_group() as tasks:

            async def turn() -> None:
                nonlocal turns
                while True:
                    await anyio.sleep(0.01)
                    turns += 1

            tasks.start_soon(turn)
            done = list(await pipeline(stage).apply(orders(2)))
            tasks.cancel_scope.cancel()
        return done

    found = ran(anyio.run(applied))
    assert found == ["parked: stage python (1): took longer than 0.3s", {"_id": 2}]
    assert turns > 2


def test_an_async_one_is_cancelled_when_it_takes_too_long(written: Written) -> None:
    """It may clean up, and nothing of it goes on."""
    stage = written(
        """
        import asyncio
        from tests.stages.test_python import CALLS
        async def enrich(event):
            try:
                await asyncio.sleep(3600)
            finally:
                CALLS.append("cleaned up")
        """,
        timeout=SHORT,
    )
    assert ran(run(pipeline(stage), orders(1))) == ["parked: stage python (1): took longer than 0.1s"]
    assert CALLS == ["cleaned up"]


def test_too_many_that_were_given_up_are_waited_for_and_the_stage_says_so(
    written: Written, doors: Doors
) -> None:
    """Threads are bounded; what was tried in vain is not tried again, so that the batch comes to its end."""
    options = written(
        """
        from tests.stages.test_python import CALLS, DOORS
        def enrich(event):
            CALLS.append(event.document["_id"])
            if event.document["_id"] <= 16:
                DOORS[-1].wait()
            return event
        """,
        timeout=SHORT,
    )
    stage = Python(PythonOptions(**options["python"]), context())
    said: list[str] = []

    def note(error: Unreachable) -> None:
        said.append(str(error))
        doors.open.set()

    async def applied() -> list[Slot]:
        with anyio.fail_after(30):
            return list(await until_reachable(lambda: stage.apply(orders(17)), on_failure=note))

    *late, last = ran(anyio.run(applied))
    assert said[0] == "16 calls that took longer than 0.1s go on"
    assert late == ["parked: took longer than 0.1s"] * 16
    assert last == {"_id": 17}
    assert list(range(1, 18)) == CALLS


def test_calls_at_once_are_bounded(written: Written, doors: Doors) -> None:
    """As many as were asked for, and no more."""
    stage = pipeline(
        written(
            """
            from tests.stages.test_python import CALLS, DOORS
            def enrich(event):
                CALLS.append(event)
                DOORS[-1].wait()
                return event
            """,
            concurrency=3,
        )
    )
    seen: list[int] = []

    async def applied() -> list[Slot]:
        done: list[Slot] = []
        async with anyio.create_task_group() as tasks:

            async def apply() -> None:
                done.extend(await stage.apply(orders(8)))

            tasks.start_soon(apply)
            for _ in range(3):
                await anyio.to_thread.run_sync(doors.waiting.acquire)
            seen.append(len(CALLS))
            doors.open.set()
        return done

    assert ran(anyio.run(applied)) == [{"_id": number} for number in range(1, 9)]
    assert seen == [3]


class TestBatches:
    """With `batch` it takes a list."""

    def test_a_batch_is_one_call(self, written: Written) -> None:
        """Each event by itself may be changed, replaced or dropped."""
        stage = written(
            """
            from tests.stages.test_python import CALLS
            def enrich(events):
                CALLS.append(len(events))
                return [events[0], {"sum": 2}, None]
            """,
            batch=True,
        )
        assert ran(run(pipeline(stage), orders(3))) == [{"_id": 1}, {"_id": 2, "sum": 2}, "dropped"]
        assert CALLS == [3]

    @pytest.mark.parametrize(
        ("returned", "reason"),
        [
            ("list(events)[1:]", "returned 0 results for one event"),
            ("list(events) * 2", "returned 2 results for one event"),
            ("None", "returned a value of type NoneType: expected a list"),
            ("(event for event in events)", "returned a value of type generator: expected a list"),
            ("events.pop()", "returned a value of type Change: expected a list"),
        ],
    )
    def test_one_of_the_wrong_length_or_type_is_no_answer(
        self, written: Written, returned: str, reason: str
    ) -> None:
        """Nobody can tell which result is whose."""
        stage = written(f"def enrich(events):\n    return {returned}\n", batch=True)
        assert ran(run(pipeline(stage), orders(3))) == [f"parked: stage python (1): {reason}"] * 3

    @pytest.mark.parametrize("what", ["raise ValueError", "DOORS[-1].wait()", "events.clear()"])
    def test_only_the_guilty_pay(self, written: Written, doors: Doors, what: str) -> None:
        """What fails together is tried in halves."""
        stage = written(
            f"""
            from tests.stages.test_python import DOORS
            def enrich(events):
                if any(event.document["_id"] == 3 for event in events):
                    {what}
                return events
            """,
            batch=True,
            timeout="500ms",
        )
        found = ran(run(pipeline(stage), orders(6)))
        assert [one for one in found if not isinstance(one, str)] == [{"_id": n} for n in (1, 2, 4, 5, 6)]
        assert found[2].startswith("parked: stage python (1): ")


@pytest.mark.parametrize(
    ("on_error", "becomes"), [("pass", {"_id": 1}), ("drop", "dropped"), ("park", "parked: stage mine: ")]
)
def test_on_error_decides(written: Written, on_error: str, becomes: Any) -> None:
    """As of every stage."""
    stage = written("def enrich(event):\n    raise KeyError(event.document['_id'])\n")
    (found,) = ran(run(pipeline({**stage, "on_error": on_error, "name": "mine"}), orders(1)))
    assert found == becomes or (isinstance(found, str) and found.startswith(str(becomes)))


def test_a_function_of_a_module_is_found_by_its_name() -> None:
    """And a file is one module for all who name it, as long as it stays as it is."""
    stage = {"python": {"function": "tests.stages.test_python:dropping"}}
    assert become(orders(1)[0], stage) == "dropped"


def dropping(event: Change) -> None:
    """A function for a test."""


def test_stages_of_one_file_share_it_until_it_is_edited(written: Written) -> None:
    """Its module runs once; edited, it is another one."""
    text = (
        "from tests.stages.test_python import CALLS\nCALLS.append({})\ndef enrich(event):\n    return event\n"
    )
    first, second = pipeline(written(text.format(1))), pipeline(written(text.format(1)))
    assert isinstance(first, Pipeline)
    assert isinstance(second, Pipeline)
    assert CALLS == [1]
    pipeline(written(text.format(2)))
    assert CALLS == [1, 2]


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("def enrich(", {}, "enrich.py is no Python: line 1: '(' was never closed"),
        ("import nothing_like_it", {}, "enrich.py cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)", {}, "enrich.py cannot be imported: SystemExit: 3"),
        ("def enrichh(event): pass", {}, "there is no enrich in"),
        ("def enrichh(event): pass", {}, "did you mean 'enrichh'?"),
        ("enrich = 7", {}, "enrich is no function"),
        ("class enrich: pass", {}, "enrich is no function"),
        ("def enrich(): pass", {}, "enrich must take one argument, the event"),
        ("def enrich(event, other): pass", {}, "enrich must take one argument, the event"),
        ("def enrich(event): yield event", {}, "enrich yields: it must return what becomes of the event"),
        ("async def enrich(event): yield event", {}, "enrich yields"),
        ("def enrich(event): pass", {"function": "a:enrich"}, "with file it is the name of a function alone"),
        ("", {"file": None}, "expected a module and a function, such as mypackage.module:enrich"),
        ("", {"file": None, "function": "no_such.module:f"}, "no_such.module cannot be imported"),
        ("", {"file": "/nowhere/enrich.py"}, "/nowhere/enrich.py cannot be read: No such file"),
        ("def enrich(event): pass", {"sets": ["document.x"]}, "expected a name of letters, digits and _"),
        ("def enrich(event): pass", {"sets": ["operation"]}, "every event has operation of its own"),
        ("def enrich(event): pass", {"timeout": "0s"}, "must be more than 0"),
    ],
)
def test_what_is_wrong_is_found_before_the_start(
    written: Written, text: str, options: dict[str, Any], says: str
) -> None:
    """With its place."""
    assert says in problem(written(text, **options))


def test_conditions_behind_it_know_what_it_sets(written: Written) -> None:
    """And no other name."""
    stage = written("def enrich(event):\n    return event\n", sets=["score"])
    pipeline(stage, {"filter": "score > 1"})
    assert "unknown name 'scores'" in problem(stage, {"filter": "scores > 1"})


def test_a_route_may_not_call_one(written: Written) -> None:
    """A route's pipeline waits for nothing."""
    stage = written("def enrich(event):\n    return event\n")
    assert "python waits for others" in problem(route={"pipeline": [stage]})


PROGRAM = """
import anyio, time
from eventbus.stages.python.calling import Caller

async def main():
    caller = Caller(lambda event: time.sleep(3600), 0.01, 1)
    print(await caller.call(None))
    caller.close()

anyio.run(main)
"""


def test_an_exit_waits_for_no_call_that_was_given_up() -> None:
    """A daemon that is told to stop does so, whatever a function does."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert "took longer" in done.stdout
