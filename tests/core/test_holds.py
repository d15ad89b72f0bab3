"""Held keys: whom they wait behind, and when they may be released."""

from __future__ import annotations

from eventbus.core.holds import Holds


def test_a_key_waits_behind_its_first_dead_letter() -> None:
    """Later ones of the same key wait behind it themselves."""
    holds = Holds({b"old": "1"})
    assert holds.begin(b"new", "2")
    holds.end(b"new")
    assert not holds.begin(b"new", "3")
    assert not holds.begin(b"old", "4")
    assert holds.held == {b"old": "1", b"new": "2"}


def test_a_key_is_released_when_the_store_had_no_dead_letter_left() -> None:
    """And held anew by the next one."""
    holds = Holds({b"key": "1"})
    assert holds.release([b"key", b"other"], holds.parks) == 1
    assert holds.held == {}
    assert holds.begin(b"key", "2")
    assert holds.held == {b"key": "2"}


def test_what_was_parked_since_the_store_was_asked_keeps_a_key_held() -> None:
    """The store did not know of it yet; the next answer counts."""
    holds = Holds({b"key": "1"})
    asked = holds.parks
    holds.begin(b"key", "2")
    holds.end(b"key")
    assert holds.release([b"key"], asked) == 0
    assert holds.release([b"key"], holds.parks) == 1


def test_a_park_that_was_under_way_when_the_store_was_asked_keeps_a_key_held() -> None:
    """Whether it still is or has ended: the store may have answered before it had the dead letter."""
    holds = Holds({b"key": "1"})
    holds.begin(b"key", "2")
    asked = holds.parks
    assert holds.release([b"key"], asked) == 0
    holds.end(b"key")
    assert holds.release([b"key"], asked) == 0
    assert holds.release([b"key"], holds.parks) == 1


def test_parks_of_other_keys_keep_nothing_held() -> None:
    """Or a busy route would never release any."""
    holds = Holds({b"key": "1"})
    asked = holds.parks
    holds.begin(b"other", "2")
    assert holds.release([b"key"], asked) == 1


def test_an_answer_from_before_a_release_does_not_release_again() -> None:
    """The key was held anew in between."""
    holds = Holds({b"key": "1"})
    stale = holds.parks
    assert holds.release([b"key"], holds.parks) == 1
    holds.begin(b"key", "2")
    holds.end(b"key")
    assert holds.release([b"key"], stale) == 0
