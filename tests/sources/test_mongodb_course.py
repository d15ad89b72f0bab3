"""The decisions of a reader: what a page moves, what a failure changes. No server is needed to decide."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from bson import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from eventbus.errors import ConfigurationError, PositionLost
from eventbus.model import ClusterTime, Event, Parked, Position, PositionKind
from eventbus.sources.mongodb.course import Course, Reading, Start
from eventbus.sources.mongodb.errors import Failure, Reaction

NOW = 1_795_000_000


def place(increment: int, *, kind: PositionKind = PositionKind.EVENT) -> Position:
    """The position of the change with this number; idle ones lie just before their cluster time's changes."""
    tail = "2B0229296E04" if kind is PositionKind.IDLE else "2B022C0100"
    return Position(f"82{NOW:08X}{increment:08X}{tail}", kind, ClusterTime(NOW, increment))


def event(increment: int) -> Event:
    position = place(increment)
    return Event(
        token=position.token,
        operation="insert",
        database="shop",
        collection="orders",
        cluster_time=position.cluster_time,
        document_key=b"",
    )


def failure(reaction: Reaction) -> Failure:
    return Failure(reaction, 1, known=True, reason="why", said="what the server said")


def page(course: Course, increments: Sequence[int], end: Position, **how: bool) -> list[int]:
    """Take in a page; the numbers of the changes that are new."""
    batch = course.advance(
        [event(i) for i in increments], end, **({"in_fragments": False, "closed": False} | how)
    )
    assert batch.end == course.position
    times = [slot.event.cluster_time for slot in batch.slots]
    return [time.increment for time in times if time]


def test_resumes_after_the_position() -> None:
    """Ordinarily a stream resumes after the last change that was returned, with all parts of its token."""
    course = Course(Position(place(1).token, extra=b"\x40"))
    assert course.start() == Start({"resumeAfter": {"_data": place(1).token, "_typeBits": b"\x40"}})
    assert page(course, [2, 3], place(3)) == [2, 3]
    assert course.start() == Start({"resumeAfter": {"_data": place(3).token}})
    course.fail(failure(Reaction.RESUME))
    assert course.start() == Start({"resumeAfter": {"_data": place(3).token}})


def test_a_page_without_changes_moves_the_position() -> None:
    """The token of an empty page is a position of its own kind; the kind stays if the token is the same."""
    course = Course(place(1))
    page(course, [], place(1, kind=PositionKind.EVENT))
    assert course.position == place(1)
    idle = place(5, kind=PositionKind.IDLE)
    assert page(course, [], idle) == []
    assert course.position == idle


def test_the_last_change_is_the_end_of_its_page() -> None:
    """Where the server's token is that of the last change, the position is an event's and not an idle one."""
    course = Course(place(1))
    same_token = Position(place(2).token, PositionKind.IDLE)
    page(course, [2], same_token)
    assert course.position == place(2)


def test_after_an_invalidate() -> None:
    """A stream that the server closed goes on by ``startAfter``, even if a filter dropped the invalidate."""
    course = Course(place(1))
    page(course, [], place(2, kind=PositionKind.IDLE), closed=True)
    assert course.position.kind is PositionKind.INVALIDATE
    assert list(course.start().option) == ["startAfter"]
    page(course, [3], place(3))
    assert list(course.start().option) == ["resumeAfter"]


def test_a_position_whose_kind_was_forgotten() -> None:
    """If the server says that a position is that of an invalidate, it is; if it says so again, it is lost."""
    course = Course(place(1))
    course.fail(failure(Reaction.RESUME_AFTER_INVALIDATE))
    assert list(course.start().option) == ["startAfter"]
    with pytest.raises(PositionLost):
        course.fail(failure(Reaction.RESUME_AFTER_INVALIDATE))


def at_cluster_time(increment: int, beyond: Position) -> Start:
    return Start({"startAtOperationTime": Timestamp(NOW, increment)}, beyond=beyond.token)


def test_reopening_at_the_cluster_time() -> None:
    """The stream opens at the time in the position, and what was returned before is not returned again."""
    course = Course(place(5))
    course.fail(failure(Reaction.REOPEN_AT_CLUSTER_TIME))
    assert course.start() == at_cluster_time(5, place(5))
    assert page(course, [3, 4, 5], place(5)) == []
    assert course.position == place(5)
    assert page(course, [6], place(6)) == [6]
    assert course.start() == Start({"resumeAfter": {"_data": place(6).token}})


def test_reopening_while_the_old_place_is_not_reached() -> None:
    """A failure before anything new came does not take the position for resumable again."""
    course = Course(place(5))
    course.fail(failure(Reaction.REOPEN_AT_CLUSTER_TIME))
    assert page(course, [], place(5, kind=PositionKind.IDLE)) == []
    course.fail(failure(Reaction.RESUME))
    assert course.start() == at_cluster_time(5, place(5))


def test_reopening_after_an_invalidate() -> None:
    """Nothing shares the cluster time of a drop: the first moment after it is where to go on."""
    invalidate = place(5, kind=PositionKind.INVALIDATE)
    course = Course(invalidate)
    course.fail(failure(Reaction.REOPEN_AT_CLUSTER_TIME))
    assert course.start() == at_cluster_time(6, invalidate)


def test_reopening_that_does_not_help() -> None:
    """If the same place is refused again, it is not the place that is wrong but the stages."""
    course = Course(place(5))
    course.fail(failure(Reaction.REOPEN_AT_CLUSTER_TIME))
    page(course, [], place(4, kind=PositionKind.IDLE))
    with pytest.raises(ConfigurationError, match=r"source\.pipeline"):
        course.fail(failure(Reaction.REOPEN_AT_CLUSTER_TIME))


def test_reopening_elsewhere_later() -> None:
    """Once the stream got on, another refusal is met in the same way."""
    course = Course(place(5))
    course.fail(failure(Reaction.REOPEN_AT_CLUSTER_TIME))
    page(course, [6], place(6))
    course.fail(failure(Reaction.REOPEN_AT_CLUSTER_TIME))
    assert course.start() == at_cluster_time(6, place(6))


def test_a_change_that_is_too_large() -> None:
    """Changes come one by one up to it; it comes by its identity and is parked; then all is as before."""
    course = Course(place(1))
    assert course.batch_size > 1
    course.fail(failure(Reaction.OVERSIZE))
    assert (course.reading, course.batch_size) == (Reading.ONE_BY_ONE, 1)
    assert course.start() == at_cluster_time(1, place(1))
    assert page(course, [2], place(2)) == [2]
    course.fail(failure(Reaction.OVERSIZE))
    assert (course.reading, course.batch_size) == (Reading.IDENTITY, 1)
    batch = course.advance([event(3)], place(3), in_fragments=False, closed=False)
    (slot,) = batch.slots
    assert isinstance(slot, Parked)
    assert "16 MiB" in slot.reason
    assert batch.end == course.position == place(3)
    assert course.reading is Reading.FREELY
    assert course.start() == at_cluster_time(3, place(3))
    assert page(course, [4], place(4)) == [4]
    assert course.start() == Start({"resumeAfter": {"_data": place(4).token}})


def test_too_large_even_for_its_identity() -> None:
    """What cannot even be named cannot be parked: the policy for lost positions decides."""
    course = Course(place(1))
    course.fail(failure(Reaction.OVERSIZE))
    course.fail(failure(Reaction.OVERSIZE))
    with pytest.raises(PositionLost):
        course.fail(failure(Reaction.OVERSIZE))


def test_one_by_one_ends() -> None:
    """If the change that was too large is not met again, reading goes back to its pace."""
    course = Course(place(1))
    course.fail(failure(Reaction.OVERSIZE))
    for i in range(2, 1001):
        page(course, [i], place(i))
        assert course.reading is Reading.ONE_BY_ONE
    page(course, [1001], place(1001))
    assert course.reading is Reading.FREELY
    course.fail(failure(Reaction.OVERSIZE))
    page(course, [], place(2000, kind=PositionKind.IDLE))
    assert course.reading is Reading.FREELY


def test_a_page_that_ends_inside_a_change() -> None:
    """The token of a fragment is never a position."""
    course = Course(place(1))
    assert page(course, [2], place(4), in_fragments=True) == [2]
    assert course.position == place(2)
    assert page(course, [], place(5), in_fragments=True) == []
    assert course.position == place(2)
    assert course.start() == Start({"resumeAfter": {"_data": place(2).token}})


def test_from_a_place_behind_documents_that_were_read() -> None:
    """The server hears of its own token only; the position does not go back to it; what comes is later."""
    mark = place(5, kind=PositionKind.IDLE)
    course = Course(Position(f"{mark.token}/000000000007", PositionKind.IDLE))
    assert course.start() == Start({"resumeAfter": {"_data": mark.token}})
    assert page(course, [], mark) == []
    assert course.position.token == f"{mark.token}/000000000007"
    course.fail(failure(Reaction.REOPEN_AT_CLUSTER_TIME))
    assert course.start() == at_cluster_time(5, mark)
    course.check_clock(ClusterTime(NOW, 5))
    assert page(course, [5, 6], place(6)) == [5, 6]


@pytest.mark.parametrize("reaction", [Reaction.HISTORY_LOST, Reaction.FATAL_CONFIGURATION])
def test_no_going_on(reaction: Reaction) -> None:
    """Some failures leave nothing to try; what the server said about documents is not repeated."""
    kind = PositionLost if reaction is Reaction.HISTORY_LOST else ConfigurationError
    with pytest.raises(kind, match="why") as caught:
        Course(place(1)).fail(failure(reaction))
    assert "server said" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "position-1", "82zz"])
def test_a_position_of_no_stream(token: str) -> None:
    """A position that is no resume token is lost, and never read as a time."""
    with pytest.raises(PositionLost, match="not a resume token"):
        Course(Position(token)).start()


def test_a_position_of_the_future() -> None:
    """The server would wait for it without a word; but one tick ahead of its clock is the present."""
    course = Course(place(5))
    course.check_clock(ClusterTime(NOW, 4))
    course.check_clock(None)
    with pytest.raises(PositionLost, match="future"):
        course.check_clock(ClusterTime(NOW - 60, 1))


@given(st.data())
def test_no_gap_and_no_duplicate(data: st.DataObject) -> None:
    """Whatever fails between whatever pages, each change behind the start is returned once, in order."""
    last = data.draw(st.integers(1, 30), "changes")
    course = Course(place(0))
    returned: list[int] = []
    at = 0
    while course.position.token < place(last).token:
        match data.draw(st.sampled_from(["page", "page", "page", "idle", "resume", "reopen"]), "step"):
            case "page":
                count = data.draw(st.integers(1, 5), "size")
                numbers = list(range(at + 1, min(at + count, last) + 1))
                returned += page(course, numbers, place(numbers[-1]))
                at = numbers[-1]
            case "idle":
                page(course, [], place(at + 1, kind=PositionKind.IDLE))
            case "resume":
                course.fail(failure(Reaction.RESUME))
                at = reached(course)
            case _:
                course = Course(course.position)  # a daemon that was restarted
                course.fail(failure(Reaction.REOPEN_AT_CLUSTER_TIME))
                at = reached(course)
    assert returned == list(range(1, last + 1))


def reached(course: Course) -> int:
    """The number of the last change before the place where the server would open the stream."""
    ((how, where),) = course.start().option.items()
    if how == "startAtOperationTime":
        return int(where.inc) - 1
    number = int(where["_data"][10:18], 16)
    return number - 1 if where["_data"].endswith("2B0229296E04") else number
