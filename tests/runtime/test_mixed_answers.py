"""A call in which the events of one key fare differently, as a sink of somebody else's may answer."""

from __future__ import annotations

from eventbus.model import DELIVERED, Fault, Rejected, Retry
from tests.runtime.history import Fate, History
from tests.runtime.scenes import changes_of
from tests.runtime.scripted import Scripted, played

AWAY = Retry(Fault.UNAVAILABLE, "away")
FAILED = Retry(Fault.FAILED, "failed")


def test_a_key_of_which_a_later_event_is_refused_keeps_its_order() -> None:
    """What comes before the refused one and what comes after go on one behind the other."""
    first, refused, last, other = events = changes_of(History(), "xxxa")
    sink = Scripted([AWAY, Rejected("never"), AWAY, DELIVERED])
    (letter,) = played(sink, events)
    assert letter.event is refused
    assert sink.calls == [[first, refused, last, other], [first], [last]]


def test_a_refused_event_waits_behind_an_earlier_one_that_failed() -> None:
    """It is parked in its turn, and what comes later of its key is behind it."""
    first, refused, last = events = changes_of(History(), "xxx")
    sink = Scripted([FAILED, Rejected("never"), FAILED])
    (letter,) = played(sink, events)
    assert letter.event is refused
    assert sink.calls == [events, [first], [last]]


def test_an_event_without_a_form_waits_for_an_earlier_one_that_is_under_way() -> None:
    """It was to go out in the same call; so does what comes later of its key, one behind the other."""
    history = History()
    first, dead = history.change("x"), history.change("x", fate=Fate.UNENCODABLE)
    last, other = changes_of(history, "xa")
    sink = Scripted()
    (letter,) = played(sink, [first, dead, last, other])
    assert letter.event is dead
    assert sink.calls == [[first, other], [last]]


def test_what_a_failing_event_held_up_waits_behind_it_whatever_it_was_told() -> None:
    """Even that the sink was away: its lane does not try it by itself."""
    first, last, other = events = changes_of(History(), "xxa")
    sink = Scripted([FAILED, AWAY, DELIVERED])
    assert played(sink, events) == []
    assert sink.calls == [[first, last, other], [first], [last]]
