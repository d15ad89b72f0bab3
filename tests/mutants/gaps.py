"""Deliberate mistakes in what is done about lost positions: records, leaps, moves, headroom."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["GAP_MUTANTS"]

ARRANGEMENT = "runtime/arrangement.py"
CONTROLS = "runtime/controls.py"
ERRORS = "sources/mongodb/errors.py"
FEEDING = "runtime/feeding.py"
FLOW = "runtime/flow.py"
GAP_EVENTS = "runtime/gap_events.py"
HEADROOM = "runtime/headroom.py"
MOVES = "runtime/moves.py"
RECOVERY = "runtime/recovery.py"
RECURRENCE = "core/recurrence.py"
SUBSCRIPTION = "runtime/subscription.py"

RESUME = "tests/sources/test_mongodb_resume.py"
SCENES = "tests/runtime/test_gaps.py"
MOVE_SCENES = "tests/runtime/test_moves.py"
HEADROOM_SCENES = "tests/runtime/test_headroom.py"

RECORDED = "nothing is skipped without a record"
NO_MORE = "no more is given up than is gone"
ONCE = "a gap is told once, in its place"
RESTS = "a place that is lost again and again rests"
MOVED = "a moved route begins where it was moved to"
WARNED = "who is in danger is warned of once"

GAP_MUTANTS = (
    Mutant(
        "a leap needs no record",
        RECORDED,
        RECOVERY,
        "        await self._patiently(lambda: self._record(routes, start, goal))\n",
        "",
        SCENES,
    ),
    Mutant(
        "one route of a flow is recorded for all",
        RECORDED,
        RECOVERY,
        "        for name in routes:\n            gap = Gap(",
        "        for name in routes[:1]:\n            gap = Gap(",
        SCENES,
    ),
    Mutant(
        "routes may join a flow that is about to leap",
        RECORDED,
        ARRANGEMENT,
        "            and not main.is_leaping\n",
        "",
        SCENES,
    ),
    Mutant(
        "a route that is further on leaps with the others",
        NO_MORE,
        ARRANGEMENT,
        "if route.admitted.token > position.token]:\n            self._detach",
        "if False]:\n            self._detach",
        SCENES,
    ),
    Mutant(
        "the oldest change is now",
        NO_MORE,
        RECOVERY,
        "await self._source.now() if self._policy is not OnPositionLost.OLDEST else",
        "await self._source.now() if True else",
        SCENES,
    ),
    Mutant(
        "stop goes on",
        NO_MORE,
        RECOVERY,
        "            raise lost\n        now",
        "        now",
        SCENES,
    ),
    Mutant(
        "a leap may lead back",
        RECORDED,
        RECOVERY,
        "        if goal.end.token <= start.token:",
        "        if False:",
        SCENES,
    ),
    Mutant(
        "each life has a goal of its own",
        ONCE,
        RECOVERY,
        "            if gap.policy == self._policy.value and",
        "            if False and",
        SCENES,
    ),
    Mutant(
        "what cannot be read any more is a goal",
        "a leap leads to what can be read",
        RECOVERY,
        " and gap.end.token >= oldest.token:",
        ":",
        SCENES,
    ),
    Mutant(
        "what is told of a gap passes what was read before it",
        ONCE,
        GAP_EVENTS,
        '_BEHIND = "/~gap"',
        '_BEHIND = ""',
        SCENES,
    ),
    Mutant(
        "sinks are always told",
        ONCE,
        RECOVERY,
        "[event] if self._source.policy.tells_gaps else []",
        "[event]",
        SCENES,
    ),
    Mutant(
        "what was read before a stop is thrown away",
        "what was read is handed out",
        FLOW,
        "                        self._lost = lost\n                        return\n",
        "                        raise lost\n",
        SCENES,
    ),
    Mutant(
        "a route leaps as often as it likes",
        RESTS,
        RECOVERY,
        "        if any(one.is_spent(now) for one in leaps):",
        "        if False:",
        SCENES,
    ),
    Mutant(
        "a route that has leapt twice never leaps again",
        RESTS,
        RECURRENCE,
        " and now - self._times[0] < self._within_secs",
        "",
        SCENES,
    ),
    Mutant(
        "a snapshot goes on without one",
        "a snapshot is in the position before it is read",
        RECOVERY,
        "        return replace(goal, end=replace(goal.end, snapshot=snapshot))",
        "        return goal",
        SCENES,
    ),
    Mutant(
        "a snapshot that is needed is not made",
        "a snapshot is in the position before it is read",
        RECOVERY,
        "        return OnPositionLost.SNAPSHOT\n",
        "        return OnPositionLost.STOP\n",
        SCENES,
    ),
    Mutant(
        "a move forward is no gap",
        RECORDED,
        MOVES,
        "        await record_gap(store, gap)\n",
        "",
        MOVE_SCENES,
    ),
    Mutant(
        "a move that cannot be stays wanted",
        MOVED,
        MOVES,
        "        status = OperationStatus.FAILED if problem else OperationStatus.DONE\n",
        "        status = OperationStatus.WAITING if problem else OperationStatus.DONE\n",
        MOVE_SCENES,
    ),
    Mutant(
        "a route that is moved is waited for",
        MOVED,
        SUBSCRIPTION,
        " if route.name not in moved]:",
        "]:",
        MOVE_SCENES,
    ),
    Mutant(
        "a young oplog is a danger",
        WARNED,
        HEADROOM,
        "if is_full else outlook.left_secs",
        "",
        HEADROOM_SCENES,
    ),
    Mutant(
        "a warning comes with every look",
        WARNED,
        HEADROOM,
        " and not watched.is_in_danger:",
        ":",
        HEADROOM_SCENES,
    ),
    Mutant(
        "a route is in danger for ever",
        WARNED,
        HEADROOM,
        "            watched.is_in_danger = False\n",
        "            pass\n",
        HEADROOM_SCENES,
    ),
    Mutant(
        "a route that was moved has burnt",
        WARNED,
        HEADROOM,
        "        if watched is None or watched.route is not route:",
        "        if watched is None:",
        HEADROOM_SCENES,
    ),
    Mutant(
        "a token that cannot be read is a lost place",
        NO_MORE,
        ERRORS,
        "Row(code, name, Reaction.REOPEN_AT_CLUSTER_TIME, _UNREADABLE_POSITION)",
        "Row(code, name, Reaction.HISTORY_LOST, _UNREADABLE_POSITION)",
        RESUME,
    ),
    Mutant(
        "a store that refuses ends everything",
        "no subscription ends for want of a word",
        CONTROLS,
        "        except Exception as error:  # noqa: BLE001 - see above\n",
        "        except OSError as error:\n",
        "tests/runtime/test_controls.py",
    ),
)
