"""Deliberate mistakes in what keeps routes apart: detaching, merging, pauses, replays, held keys."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["ROUTE_MUTANTS"]

ARRANGEMENT = "runtime/arrangement.py"
DEBT = "core/debt.py"
FEEDING = "runtime/feeding.py"
FLOW = "runtime/flow.py"
HOLDING = "runtime/holding.py"
HOLDS = "core/holds.py"
LETTERS = "runtime/letters.py"
OPERATIONS = "runtime/operations.py"
REPLAY = "runtime/replay.py"
ROUTE = "runtime/route.py"
SNAPSHOTS = "runtime/snapshots.py"
SNAPSHOT_RECORDS = "runtime/snapshot_records.py"
START = "runtime/start.py"
TRIALS = "runtime/trials.py"
WINDOW = "core/window.py"

ISOLATION = "tests/runtime/test_isolation.py"
STARTS = "tests/runtime/test_starts.py"
PAUSES = "tests/runtime/test_pauses.py"
REPLAYS = "tests/runtime/test_replays.py"
LOST = "tests/runtime/test_lost_positions.py"
DEAD = "tests/runtime/test_dead_letters.py"
COMPLETE = "tests/runtime/test_completeness.py"
KEYS = "tests/runtime/test_failing_keys.py"
READ = "tests/runtime/test_snapshots.py"

APART = "a route that is slow or down costs the others a moment only"
BACK = "a route that caught up comes back"
READERS = "readers are bounded, and shared where that serves"
PAUSED = "a paused route makes no attempt, and loses nothing"
REPLAYED = "a replay sends what was asked for, resumably, and moves nothing else"
HELD = "what waits behind a dead letter goes on in order, and only then"
TOLD = "completeness is never claimed too early"
ALL_READ = "a snapshot gives every document, none of them stale, and ends once"

ROUTE_MUTANTS = (
    Mutant(
        "a timer of patience starts anew with each bit of progress",
        APART,
        DEBT,
        "        self._secs = self.owed(now) + idle_secs",
        "        self._secs = idle_secs",
        ISOLATION + "::test_a_slow_but_steady_route_does_not_pace_the_others",
    ),
    Mutant(
        "debt is never forgiven",
        BACK,
        DEBT,
        "_DECAY = 0.1",
        "_DECAY = 0.0",
        ISOLATION + "::test_a_route_in_trouble_holds_the_others_up_for_a_moment_only",
    ),
    Mutant(
        "work of the others is owed like a wait",
        "routes of a busy process stay together",
        DEBT,
        "idle_secs = max(0.0, secs - worked_secs)",
        "idle_secs = secs",
        ISOLATION + "::test_routes_of_a_busy_process_stay_together",
    ),
    Mutant(
        "work is never owed, even if nobody else has any",
        APART,
        DEBT,
        "alone_secs = secs - idle_secs if alone else 0.0",
        "alone_secs = 0.0",
        ISOLATION + "::test_a_sink_that_hangs_in_a_busy_process_is_left_a_little_later",
    ),
    Mutant(
        "all work is owed, though others have some as well",
        "routes of a busy process stay together",
        FLOW,
        "are_idle = not any(route.open_events for route in others)",
        "are_idle = True",
        ISOLATION + "::test_routes_of_a_busy_process_stay_together",
    ),
    Mutant(
        "nobody is ever detached for being slow",
        APART,
        ARRANGEMENT,
        "if route.is_stuck or route.debt.owed(now) >= bound]",
        "if route.is_stuck]",
        ISOLATION + "::test_a_slow_but_steady_route_does_not_pace_the_others",
    ),
    Mutant(
        "a route owes though nobody waits for it",
        "a sole route is never detached",
        ARRANGEMENT,
        "        if len(behind) < len(flow.routes):\n            return True\n",
        "        if behind:\n            return True\n",
        ISOLATION + "::test_a_sole_route_is_never_detached_however_slow",
    ),
    Mutant(
        "the main flow never holds",
        BACK,
        ARRANGEMENT,
        "        main.held_until = now + hold_secs\n",
        "",
        ISOLATION + "::test_a_route_merges_under_constant_load_however_long_its_cycle",
    ),
    Mutant(
        "a hold is as long as patience is",
        BACK,
        ARRANGEMENT,
        "hold_secs = min(self._policy.isolate_late_secs, 2 * flow.cycle_secs + _HOLD_MARGIN_SECS)",
        "hold_secs = 0.3",
        ISOLATION + "::test_a_route_merges_under_constant_load_however_long_its_cycle",
    ),
    Mutant(
        "a route merges a moment too early",
        "a flow feeds a route only from at or before what it admitted",
        ARRANGEMENT,
        "            and route.admitted.token >= main.position.token\n",
        "",
        ISOLATION + "::test_a_route_in_trouble_holds_the_others_up_for_a_moment_only",
    ),
    Mutant(
        "the least advanced flow is main",
        READERS,
        ARRANGEMENT,
        "        first = max(live, key=lambda flow: flow.position.token, default=None)",
        "        first = min(live, key=lambda flow: flow.position.token, default=None)",
        STARTS + "::test_the_main_flow_is_the_most_advanced_after_it_ended",
    ),
    Mutant(
        "a joiner wakes nobody",
        APART,
        ARRANGEMENT,
        "        flow.held_until = 0.0\n        flow.woken.notify()\n",
        "        flow.held_until = 0.0\n",
        ISOLATION + "::test_a_route_that_joins_a_batch_in_hand_is_given_it_at_once",
    ),
    Mutant(
        "there is no bound on readers",
        READERS,
        ARRANGEMENT,
        "        return max(0, self._policy.max_readers - beside_main)",
        "        return 1",
        ISOLATION + "::test_readers_beside_the_main_one_are_bounded",
    ),
    Mutant(
        "a reader is never taken back",
        READERS,
        ARRANGEMENT,
        "        if now - stint.since < self._policy.quantum_secs:\n            return False\n",
        "        return False\n",
        ISOLATION + "::test_a_long_catch_up_yields_its_reader_to_one_that_is_nearer",
    ),
    Mutant(
        "every route has a reader of its own after a start",
        READERS,
        ARRANGEMENT,
        "        return [route for route in mergeable if self._are_near(route.admitted, first.admitted)]",
        "        return [first]",
        STARTS + "::test_six_routes_that_stopped_a_few_events_apart_need_one_reader",
    ),
    Mutant(
        "a route far behind shares the main reader",
        APART,
        ARRANGEMENT,
        "        return abs(one.cluster_time.seconds - other.cluster_time.seconds) <= self._policy.near_secs",
        "        return True",
        STARTS + "::test_after_a_crash_a_route_far_behind_does_not_hold_the_others_back",
    ),
    Mutant(
        "an open circuit with an empty window is not fed",
        BACK,
        ROUTE,
        "        ready = self._circuit.is_closed() or self._window.is_empty\n",
        "        ready = self._circuit.is_closed()\n",
        "tests/runtime/test_route_needs.py::test_an_open_circuit_needs_an_event_to_try_itself_on",
    ),
    Mutant(
        "attempts go on while a route is paused",
        PAUSED,
        "core/gate.py",
        "        while self.reason is not None:\n            await self._moved.wait()\n",
        "        return\n",
        PAUSES + "::test_an_event_that_is_being_retried_makes_no_further_attempt_while_paused",
    ),
    Mutant(
        "a paused route is fed on",
        PAUSED,
        ROUTE,
        "        return self.paused is not None or self.lost is not None",
        "        return self.lost is not None",
        PAUSES + "::test_a_paused_route_stops_and_comes_back_without_gap_or_repetition",
    ),
    Mutant(
        "a pause is obeyed only when it comes",
        PAUSED,
        "runtime/subscription.py",
        "        self._obey_pauses(control)\n        return True\n",
        "        return True\n",
        PAUSES + "::test_a_pause_asked_for_before_the_subscription_ran_holds_from_its_first_moment",
    ),
    Mutant(
        "a replay sends one batch too much",
        REPLAYED,
        REPLAY,
        "batch.slots[: batch.after(self._until.token)]",
        "batch.slots",
        REPLAYS + "::test_a_stretch_of_history_is_sent_once_more_and_nothing_else_moves",
    ),
    Mutant(
        "a replay begins anew after a crash",
        REPLAYED,
        OPERATIONS,
        "        if start is None:\n",
        "        if True:\n",
        REPLAYS + "::test_a_replay_goes_on_where_a_crash_interrupted_it",
    ),
    Mutant(
        "a lost catch-up reader ends the subscription",
        "a lost position stops its route alone",
        FEEDING,
        "        except* PositionLost as lost:\n",
        "        except* KeyError as lost:\n",
        LOST + "::test_a_catch_up_reader_that_is_lost_stops_its_route_alone",
    ),
    Mutant(
        "a lost route is never tried again",
        "a lost route comes back with its history",
        FEEDING,
        "                    route.lost = None\n",
        "                    pass\n",
        LOST + "::test_a_lost_route_comes_back_when_the_source_has_its_position_again",
    ),
    Mutant(
        "what an operation did in the second before a crash is not in its record",
        REPLAYED,
        OPERATIONS,
        "            under_way.operation = await self._counted(operation)\n",
        "            pass\n",
        DEAD + "::test_dead_letters_are_sent_once_more_in_order_and_end",
    ),
    Mutant(
        "a held key is released while something of it waits",
        HELD,
        HOLDING,
        "route.release(route.held.keys() - {key.key for key in left}, asked)",
        "route.release(route.held.keys() - {key.key for key in left if key.dead}, asked)",
        DEAD + "::test_a_held_key_goes_on_once_its_dead_letter_is_discarded_also_after_a_crash",
    ),
    Mutant(
        "what waits is never sent",
        HELD,
        HOLDING,
        "            await self._ask_for_release(route)\n",
        "            pass\n",
        DEAD + "::test_a_held_key_goes_on_in_order_once_its_dead_letter_is_replayed",
    ),
    Mutant(
        "what lies before a dead letter waits behind it",
        HELD,
        HOLDS,
        "hold.token < token else None",
        "True else None",
        "tests/core/test_holds.py::test_what_lies_before_the_dead_letter_waits_for_nothing",
    ),
    Mutant(
        "a newer event is noted on letters of the first life only",
        "a superseded dead letter says so",
        LETTERS,
        "        self._dead = set(dead)\n",
        "        self._dead = set()\n",
        DEAD + "::test_a_newer_event_of_a_key_is_noted_on_its_dead_letters",
    ),
    Mutant(
        "completeness is claimed up to what was admitted",
        TOLD,
        ROUTE,
        "            watermark, events = self.watermark(), self._window.covered()\n",
        "            watermark, events = self.admitted, self._window.covered()\n",
        COMPLETE + "::test_an_event_that_hangs_keeps_the_statement_back",
    ),
    Mutant(
        "events behind the front ticket are counted early",
        TOLD,
        WINDOW,
        "self._tickets[0].settled.index(0) if self._tickets else 0",
        "len(self._tickets[0].slots) if self._tickets else 0",
        "tests/core/test_window.py::test_what_is_covered_is_counted_to_the_event",
    ),
    Mutant(
        "a failing key that fills the window stops the route",
        "every event finds an end",
        TRIALS,
        "        if not others_tell and not self._stands_alone(trial):\n",
        "        if not others_tell:\n",
        KEYS + "::test_a_failing_key_that_fills_the_window_does_not_stop_the_route",
    ),
    Mutant(
        "an operation whose end the store refused is begun again",
        "a replay sends once",
        OPERATIONS,
        " and operation.id not in self._over:\n",
        ":\n",
        REPLAYS + "::test_a_replay_that_ended_is_not_begun_again_by_an_owner_that_lost_its_lease",
    ),
    Mutant(
        "a route with a snapshot is fed by any flow",
        ALL_READ,
        ARRANGEMENT,
        "    return flow.snapshot_id == (snapshot.id if snapshot is not None else None)",
        "    return snapshot is None or snapshot is not None",
        READ + "::test_a_snapshot_on_demand_leaves_the_other_routes_alone",
    ),
    Mutant(
        "routes share the reading of a snapshot wherever they stand",
        ALL_READ,
        ARRANGEMENT,
        "            and route.admitted == first.admitted\n",
        "            and route.admitted.snapshot is not None\n",
        READ + "::test_routes_that_were_apart_when_it_crashed_read_by_themselves",
    ),
    Mutant(
        "new routes do not share the reading of their snapshot",
        READERS,
        ARRANGEMENT,
        "            return self._beside(first)\n",
        "            return [first]\n",
        READ + "::test_two_new_routes_share_one_reading",
    ),
    Mutant(
        "a route that has work enough misses the reading that others begin",
        READERS,
        ARRANGEMENT,
        "            and (route is first or (route.circuit_is_closed and not route.is_halted))\n",
        "            and route.wants_feeding\n",
        READ + "::test_live_routes_that_are_fed_together_share_a_reading_on_demand",
    ),
    Mutant(
        "the flow of a snapshot is main",
        ALL_READ,
        ARRANGEMENT,
        "    return flow.snapshot_id is None and not any(",
        "    return not any(",
        READ + "::test_a_route_that_joins_while_only_a_snapshot_is_read_gets_a_flow_of_its_own",
    ),
    Mutant(
        "a snapshot begins in the middle of a batch",
        READERS,
        ARRANGEMENT,
        "all(route.admitted.token == flow.position.token for route in together):",
        "True:",
        READ + "::test_live_routes_that_are_fed_together_share_a_reading_on_demand",
    ),
    Mutant(
        "a snapshot keeps its reader though others wait for one",
        READERS,
        ARRANGEMENT,
        "        if flow.snapshot_id is not None:\n            return True\n",
        "        if flow.snapshot_id is not None:\n            return False\n",
        READ + "::test_a_route_that_catches_up_is_lent_the_reader_of_a_snapshot",
    ),
    Mutant(
        "what is open brings a forgotten snapshot back",
        ALL_READ,
        ROUTE,
        "        if mark.snapshot is not None and mark.snapshot.id != _id_of(self.admitted.snapshot):\n",
        "        if False:\n",
        READ + "::test_what_is_open_when_a_snapshot_is_cancelled_does_not_bring_it_back",
    ),
    Mutant(
        "a route forgets a snapshot before its record says that it is through",
        ALL_READ,
        SNAPSHOTS,
        "        if await self._move(record, status, progress, _waits_for(record, waiting)):\n",
        "        self._let_go(record.id, progress.through)\n"
        "        if await self._move(record, status, progress, _waits_for(record, waiting)):\n",
        READ + "::test_a_finished_snapshot_whose_record_still_runs_ends_after_a_crash",
    ),
    Mutant(
        "a route that is through begins it again",
        ALL_READ,
        SNAPSHOTS,
        "            if name in self._routes and name not in record.progress.through\n",
        "            if name in self._routes\n",
        READ + "::test_one_route_through_and_a_crash_do_not_begin_it_anew",
    ),
    Mutant(
        "a route takes two snapshots at a time",
        ALL_READ,
        SNAPSHOTS,
        "return route.snapshot is None and route.not_ours is None",
        "return route.not_ours is None",
        READ + "::test_a_route_takes_one_snapshot_at_a_time",
    ),
    Mutant(
        "a snapshot that was cancelled goes on after a crash",
        ALL_READ,
        SNAPSHOT_RECORDS,
        "if record is not None and record.status.is_over}",
        "if record is None}",
        READ + "::test_a_snapshot_that_was_cancelled_before_a_crash_is_not_gone_on_with",
    ),
    Mutant(
        "a snapshot that nobody asked for by hand has no record",
        "an operator sees what is under way",
        SNAPSHOTS,
        "            await self._store.add_operation(_adopted(self._spec.name, routes))\n",
        "            pass\n",
        READ + "::test_a_new_route_gets_the_documents_that_are_there_and_every_change",
    ),
    Mutant(
        "a new route takes over the snapshot of the one where it begins",
        ALL_READ,
        START,
        '            return replace(furthest, snapshot=None, committed="")\n',
        '            return replace(furthest, committed="")\n',
        READ + "::test_a_route_that_is_added_while_another_reads_documents_reads_its_own",
    ),
    Mutant(
        "documents come among changes that an earlier reader may have given",
        ALL_READ,
        "sources/mongodb/snapshot_reader.py",
        "        return as_of < self._present\n",
        "        return False\n",
        "tests/sources/test_mongodb_snapshot_present.py",
    ),
)
