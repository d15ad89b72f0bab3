"""What each kind of notice begins or ends, what to type next, and where the runbook speaks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from eventbus.telemetry.notices import Notice, NoticeKind

__all__ = ["KINDS", "Meaning", "Nature", "next_command"]


class Nature(Enum):
    """How a notice follows from those before it."""

    PROBLEM = auto()
    """Begins a state: told once, and not again until the state has ended."""
    RECOVERY = auto()
    """Ends a state: told if its problem was."""
    ANNOUNCEMENT = auto()
    """Is a state of its own: told unless it was the last that was told."""
    EVENT = auto()
    """Is over at once: told each time."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is known of a kind.

    Args:
        nature: How it follows from those before it.
        topic: What it is about: kinds of one topic end each other.
        runbook: The heading in the runbook, as an anchor.
        command: What to type next, with names to be filled in.
    """

    nature: Nature
    topic: str
    runbook: str
    command: str


_STATUS: Final = "eventbus status -c eventbus.yaml {subscription}"
_TEST: Final = "eventbus sink test -c eventbus.yaml {sink}"
_RESUME: Final = "eventbus resume -c eventbus.yaml {subscription} --route {route}"
_MOVE: Final = "eventbus position set -c eventbus.yaml {subscription} --route {route} --to oldest"
_GAPS: Final = "eventbus gaps -c eventbus.yaml {subscription} --route {route}"
_POSITION: Final = "eventbus position show -c eventbus.yaml {subscription}"
_LETTERS: Final = "eventbus dlq list -c eventbus.yaml --subscription {subscription} --route {route}"
_VALIDATE: Final = "eventbus validate eventbus.yaml"

_P, _R, _A, _E = Nature.PROBLEM, Nature.RECOVERY, Nature.ANNOUNCEMENT, Nature.EVENT

KINDS: Final[Mapping[NoticeKind, Meaning]] = {
    NoticeKind.SUBSCRIPTION_STARTED: Meaning(_A, "subscription", "start-stop-upgrade", _STATUS),
    NoticeKind.SUBSCRIPTION_STOPPED: Meaning(_A, "subscription", "start-stop-upgrade", _STATUS),
    NoticeKind.SUBSCRIPTION_CRASHED: Meaning(_P, "subscription", "a-subscription-crashes", _STATUS),
    NoticeKind.LEASE_LOST: Meaning(_P, "lease", "a-lease-is-lost", _STATUS),
    NoticeKind.LEASE_TAKEN_OVER: Meaning(_A, "lease", "a-lease-is-lost", _STATUS),
    NoticeKind.ROUTE_DETACHED: Meaning(_P, "reader", "a-route-falls-behind", _STATUS),
    NoticeKind.ROUTE_MERGED: Meaning(_R, "reader", "a-route-falls-behind", _STATUS),
    NoticeKind.CIRCUIT_OPENED: Meaning(_P, "circuit", "a-sink-is-down", _TEST),
    NoticeKind.CIRCUIT_CLOSED: Meaning(_R, "circuit", "a-sink-is-down", _STATUS),
    NoticeKind.ROUTE_PAUSED: Meaning(_P, "pause", "pause-a-route", _RESUME),
    NoticeKind.ROUTE_RESUMED: Meaning(_R, "pause", "pause-a-route", _STATUS),
    NoticeKind.POSITION_LOST: Meaning(_P, "position", "the-position-is-lost", _MOVE),
    NoticeKind.POSITION_FOUND: Meaning(_R, "position", "the-position-is-lost", _STATUS),
    NoticeKind.GAP_RECORDED: Meaning(_E, "gap", "the-position-is-lost", _GAPS),
    NoticeKind.HEADROOM_LOW: Meaning(_P, "headroom", "headroom-is-low", _POSITION),
    NoticeKind.HEADROOM_BACK: Meaning(_R, "headroom", "headroom-is-low", _POSITION),
    NoticeKind.DEAD_LETTERS_ABOVE: Meaning(_P, "dead_letters", "dead-letters", _LETTERS),
    NoticeKind.DEAD_LETTERS_BELOW: Meaning(_R, "dead_letters", "dead-letters", _LETTERS),
    NoticeKind.SINK_WAITING: Meaning(_P, "sink", "a-sink-is-not-there-at-the-start", _TEST),
    NoticeKind.SINK_OPENED: Meaning(_R, "sink", "a-sink-is-not-there-at-the-start", _STATUS),
    NoticeKind.RELOAD_DONE: Meaning(_E, "reload_done", "start-stop-upgrade", _STATUS),
    NoticeKind.RELOAD_REFUSED: Meaning(_E, "reload_refused", "a-reload-is-refused", _VALIDATE),
}


def next_command(notice: Notice) -> str:
    """What to type next; names of the configuration need no quotes in a shell."""
    live = notice.route.partition("@")[0]
    command = KINDS[notice.kind].command
    return command.format(subscription=notice.subscription, route=live, sink=notice.sink).rstrip()
