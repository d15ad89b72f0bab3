"""Held keys: whom they wait behind, and when they may be released."""

from __future__ import annotations

from eventbus.core.holds import Hold, Holds


def hold(number: int) -> Hold:
    """The event with a number: ids and tokens are in the same order."""
    return Hold(f"event {number}", f"82{number}")


def test_a_key_waits_behind_its_first_dead_letter() -> None:
    """Later ones of the same key wait behind it themselves."""
    holds = Holds({b"old": hold(1)})
    assert holds.begin(b"new", hold(2))
    holds.end(b"new")
    assert not holds.begin(b"new", hold(3))
    assert not holds.begin(b"old", hold(4))
    assert holds.held == {b"old": hold(1), b"new": hold(2)}


def test_a_key_is_released_when_the_store_had_no_dead_letter_left() -> None:
    """And held anew by the next one."""
    holds = Holds({b"key": hold(1)})
    assert holds.release([b"key", b"other"], holds.parks) == 1
    assert holds.held == {}
    assert holds.begin(b"key", hold(2))
    assert holds.held == {b"key": hold(2)}


def test_what_was_parked_since_the_store_was_asked_keeps_a_key_held() -> None:
    """The store did not know of it yet; the next answer counts."""
    holds = Holds({b"key": hold(1)})
    asked = holds.parks
    holds.begin(b"key", hold(2))
    holds.end(b"key")
    assert holds.release([b"key"], asked) == 0
    assert holds.release([b"key"], holds.parks) == 1


def test_a_park_that_was_under_way_when_the_store_was_asked_keeps_a_key_held() -> None:
    """Whether it still is or has ended: the store may have answered before it had the dead letter."""
    holds = Holds({b"key": hold(1)})
    holds.begin(b"key", hold(2))
    asked = holds.parks
    assert holds.release([b"key"], asked) == 0
    holds.end(b"key")
    assert holds.release([b"key"], asked) == 0
    assert holds.release([b"key"], holds.parks) == 1


def test_parks_of_other_keys_keep_nothing_held() -> None:
    """Or a busy route would never release any."""
    holds = Holds({b"key": hold(1)})
    asked = holds.parks
    holds.begin(b"other", hold(2))
    assert holds.release([b"key"], asked) == 1


def test_an_answer_from_before_a_release_does_not_release_again() -> None:
    """The key was held anew in between."""
    holds = Holds({b"key": hold(1)})
    stale = holds.parks
    assert holds.release([b"key"], holds.parks) == 1
    holds.begin(b"key", hold(2))
    holds.end(b"key")
    assert holds.release([b"key"], stale) == 0


def test_what_lies_before_the_dead_letter_waits_for_nothing() -> None:
    """It is read again after a crash, and held it would come after what it precedes."""
    holds = Holds({b"key": hold(3)})
    assert holds.behind(b"key", hold(2).token) is None
    assert holds.behind(b"key", hold(3).token) is None
    assert holds.behind(b"key", hold(4).token) == hold(3).event_id
    assert holds.behind(b"other", hold(4).token) is None


def test_an_earlier_dead_letter_takes_the_place_of_a_later_one() -> None:
    """What lies between them waits from now on."""
    holds = Holds({b"key": hold(5)})
    assert not holds.begin(b"key", hold(3))
    holds.end(b"key")
    assert holds.behind(b"key", hold(4).token) == hold(3).event_id
    assert not holds.begin(b"key", hold(6))
    assert holds.held == {b"key": hold(3)}
