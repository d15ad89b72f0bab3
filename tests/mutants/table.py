"""Deliberate mistakes in the engine, each with the promise that it breaks and the test that must notice.

A mutant is a text to be found exactly once in a file and what stands there instead. One whose text is no
longer found is an error: the engine has changed, and the mutant must change with it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake.

    Args:
        name: What the mistaken programmer thought.
        breaks: The invariant of the design, or the rule of the engine, that no longer holds.
        file: Where, below ``eventbus/``; that of a package beside it begins with ``../plugins/``.
        old: What stands there.
        new: What the mutant puts there.
        test: What must fail.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    test: str


BACKOFF = "core/backoff.py"
CIRCUIT = "core/circuit.py"
HOLDS = "core/holds.py"
LANES = "core/lanes.py"
LIMIT = "core/limit.py"
PRIORITY = "core/priority.py"
RATE = "core/rate.py"
SIGNAL = "core/signal.py"
WINDOW = "core/window.py"
MODEL = "model.py"
ARRANGEMENT = "runtime/arrangement.py"
ATTEMPTS = "runtime/attempts.py"
DELIVERY = "runtime/delivery.py"
FLOW = "runtime/flow.py"
LANE_DELIVERY = "runtime/lane_delivery.py"
ROUTE = "runtime/route.py"
SAVER = "runtime/saver.py"
SETTLING = "runtime/settling.py"
SHARED_SINK = "runtime/shared_sink.py"
START = "runtime/start.py"
SUBSCRIPTION = "runtime/subscription.py"
TRIALS = "runtime/trials.py"

SCHEDULES = "tests/runtime/test_random_schedules.py"
ADMISSION = "tests/runtime/test_admission.py"
HELD_KEYS = "tests/runtime/test_held_keys.py"
KEYS = "tests/runtime/test_failing_keys.py"
LETTER_SCENES = "tests/runtime/test_letters.py"
LIMITS = "tests/runtime/test_limits.py"
ORDERING = "tests/runtime/test_ordering.py"
BATCHES = "tests/runtime/test_batches.py"
PRIORITY_SCENES = "tests/runtime/test_priority.py"
MIXED = "tests/runtime/test_mixed_answers.py"
OUTAGES = "tests/runtime/test_outages.py"
PROBES = "tests/runtime/test_circuit_probes.py"
STATE = "tests/runtime/test_state_outages.py"
CRASHES = "tests/runtime/test_crashes.py"
DRAINS = "tests/runtime/test_drains.py"

SETTLED = "(i) all at or before a stored position is settled"
ORDER = "(ii) first deliveries of a key are in source order"
BARRIER = "(ii) nothing overtakes a barrier"
BOUNDED = "(iii) what is open never exceeds the window"
FEW_AGAIN = "(iv) duplicates after a crash are bounded"
ONCE = "nothing is delivered twice without a crash"
LIVENESS = "every event finds an end"
ALONE = "a failing key delays only itself"
BUDGET = "an outage spends no event's retries"
OWN = "a route owns what it admitted, and skips it"
BELOW = "a flow feeds a route only from at or before what it admitted"
HEARTBEAT = "heartbeats open no ticket and pass none"
DURABLE = "a start is stored before the first read"
LETTERS = "a parked event is not delivered late"
FENCE = "only the holder of the lease writes"
LEASE = "a lease ends when it was not renewed"
DRAIN = "a drain forgets the batch in hand and waits for what is open"

MUTANTS = (
    Mutant(
        "the watermark is the end of the front slice",
        SETTLED,
        WINDOW,
        "return front.position_before(front.settled.index(0)) or self._end",
        "return front.end",
        SCHEDULES,
    ),
    Mutant(
        "the watermark ignores the first open event of a slice",
        SETTLED,
        WINDOW,
        "return front.position_before(front.settled.index(0)) or self._end",
        "return front.position_before(front.settled.rfind(1) + 1) or self._end",
        SCHEDULES,
    ),
    Mutant(
        "the watermark includes the first open event",
        SETTLED,
        WINDOW,
        "return self.events[index - 1].position if index else None",
        "return self.events[index].position",
        SCHEDULES,
    ),
    Mutant(
        "the watermark moves by slices only",
        FEW_AGAIN,
        WINDOW,
        "return front.position_before(front.settled.index(0)) or self._end",
        "return self._end",
        "tests/core/test_window.py",
    ),
    Mutant(
        "a settled slice takes the open ones before it along",
        SETTLED,
        WINDOW,
        "while self._tickets and not self._tickets[0].open:",
        "while self._tickets and not self._tickets[-1].open:",
        SCHEDULES,
    ),
    Mutant(
        "slices are popped while one event of them is open",
        SETTLED,
        WINDOW,
        "while self._tickets and not self._tickets[0].open:",
        "while self._tickets and self._tickets[0].open <= 1:",
        SCHEDULES,
    ),
    Mutant(
        "an event may be settled twice",
        SETTLED,
        WINDOW,
        "            if ticket.settled[place]:\n",
        "            if False:\n",
        "tests/core/test_window.py",
    ),
    Mutant(
        "room never comes back",
        LIVENESS,
        WINDOW,
        "            self.events -= len(ticket.slots)\n",
        "",
        ADMISSION + "::test_a_full_window_holds_the_flow_which_goes_on_with_the_first_room",
    ),
    Mutant(
        "room of bytes never comes back",
        LIVENESS,
        WINDOW,
        "            self.size -= ticket.size\n",
        "",
        ADMISSION + "::test_an_event_larger_than_the_window_enters_alone",
    ),
    Mutant(
        "room comes back when an event is settled, wherever it lies",
        BOUNDED,
        WINDOW,
        "        self.settled_events += len(entries)\n        return",
        "        self.settled_events += len(entries)\n"
        "        self.events -= len(entries)\n"
        "        self._tickets[0].size += 0\n"
        "        return",
        SCHEDULES,
    ),
    Mutant(
        "the window is bounded by events only",
        BOUNDED,
        WINDOW,
        "left = self._max_size - self.size",
        "left = 10**12",
        SCHEDULES,
    ),
    Mutant(
        "a slice may be as large as it likes",
        BOUNDED,
        WINDOW,
        "last = min(last, first + self._max_events - self.events, first + self.grain)",
        "last = min(last, first + max(self.grain, 8))",
        SCHEDULES,
    ),
    Mutant(
        "an event larger than the window never fits",
        LIVENESS,
        WINDOW,
        "return count or (0 if self._tickets else 1)",
        "return count",
        ADMISSION + "::test_an_event_larger_than_the_window_enters_alone",
    ),
    Mutant(
        "a heartbeat moves the watermark past what is open",
        HEARTBEAT,
        WINDOW,
        "        if self._tickets:\n"
        "            self._tickets[-1].end = end\n"
        "        else:\n"
        "            self._end = end",
        "        self._end = end",
        ADMISSION + "::test_heartbeats_take_no_room_and_pass_no_open_event",
    ),
    Mutant(
        "a heartbeat takes room",
        HEARTBEAT,
        WINDOW,
        "            self._tickets[-1].end = end\n",
        "            self._tickets[-1].end = end\n            self.events += 1\n",
        ADMISSION + "::test_heartbeats_take_no_room_and_pass_no_open_event",
    ),
    Mutant(
        "heartbeats are dropped while something is open",
        HEARTBEAT,
        WINDOW,
        "            self._tickets[-1].end = end\n",
        "            pass\n",
        ADMISSION + "::test_heartbeats_take_no_room_and_pass_no_open_event",
    ),
    Mutant(
        "admitted moves with a heartbeat, the window does not",
        HEARTBEAT,
        ROUTE,
        "            self._window.advance(batch.end)\n            self.admitted = batch.end",
        "            self.admitted = batch.end",
        ADMISSION + "::test_an_idle_position_is_stored_now_and_then_and_the_lease_renewed_all_the_time",
    ),
    Mutant(
        "the event at the admitted position is taken again",
        OWN,
        MODEL,
        "return bisect_right(self.tokens, token)",
        "return __import__('bisect').bisect_left(self.tokens, token)",
        SCHEDULES,
    ),
    Mutant(
        "a batch that is offered again is taken from its beginning",
        OWN,
        ROUTE,
        "        place = batch.after(self.admitted.token)\n",
        "        place = 0\n",
        ADMISSION + "::test_a_batch_larger_than_a_window_enters_in_parts",
    ),
    Mutant(
        "an older heartbeat moves admitted back",
        OWN,
        ROUTE,
        "        if batch.end.token >= self.admitted.token:\n",
        "        if batch.end:\n",
        ADMISSION + "::test_after_a_crash_the_flow_opens_at_the_lowest_position_and_the_others_skip",
    ),
    Mutant(
        "a batch counts as handed out when one route took it",
        LIVENESS,
        FLOW,
        "            behind = [route for route in behind if route in self.routes]\n"
        "            if not behind:\n",
        "            behind = [route for route in behind if route in self.routes]\n"
        "            if len(behind) < len(self.routes):\n",
        SCHEDULES,
    ),
    Mutant(
        "the flow opens where the most advanced route stands",
        BELOW,
        ARRANGEMENT,
        "        start = min((route.admitted for route in group)",
        "        start = max((route.admitted for route in group)",
        ADMISSION + "::test_after_a_crash_the_flow_opens_at_the_lowest_position_and_the_others_skip",
    ),
    Mutant(
        "a barrier is an event like any other",
        BARRIER,
        MODEL,
        "if event.document_key is None and not isinstance(slots[place], Filtered)",
        "if False",
        SCHEDULES,
    ),
    Mutant(
        "a barrier that a stage dropped is a barrier",
        LIVENESS,
        MODEL,
        " and not isinstance(slots[place], Filtered)",
        "",
        "tests/core/test_batch.py",
    ),
    Mutant(
        "what follows a barrier need not wait for it",
        BARRIER,
        ROUTE,
        "        if self._barrier is not None and self._barrier.open:\n            return 0\n",
        "",
        ADMISSION + "::test_barriers_in_a_row_and_at_the_ends_of_batches",
    ),
    Mutant(
        "a barrier need not wait for what is open",
        BARRIER,
        ROUTE,
        "return 1 if self._window.is_empty else 0",
        "return 1",
        ADMISSION + "::test_nothing_overtakes_a_barrier_in_either_direction",
    ),
    Mutant(
        "dead letters of an earlier life are forgotten",
        LETTERS,
        ROUTE,
        "        self._parked = set(parked)",
        "        self._parked: set[str] = set()",
        CRASHES + "::test_a_dead_letter_beyond_the_stored_position_is_not_delivered_by_the_next_life",
    ),
    Mutant(
        "lanes are chosen by chance",
        ORDER,
        LANE_DELIVERY,
        "shares.setdefault(entry.event.key_hash % len(self._lanes), [])",
        "shares.setdefault(id(entry) // 64 % len(self._lanes), [])",
        SCHEDULES,
    ),
    Mutant(
        "a lane does not look whether a key was set aside",
        ORDER,
        TRIALS,
        "        if not self._queues and not held:\n            return entries\n",
        "        return entries\n",
        KEYS + "::test_what_comes_later_for_a_failing_key_waits_behind_it",
    ),
    Mutant(
        "what comes later for a key that was set aside goes first",
        ORDER,
        TRIALS,
        "        queue.append((entry, None))",
        "        queue.appendleft((entry, None))",
        SCHEDULES,
    ),
    Mutant(
        "a key that fails twice in a batch is tried by its lane as well",
        ORDER,
        LANE_DELIVERY,
        "                case Retry() if self._trials.queued(entry):\n                    pass\n",
        "",
        MIXED,
    ),
    Mutant(
        "a wave is whatever is there",
        ORDER,
        LANES,
        "        if item_key in seen:\n",
        "        if False:\n",
        SCHEDULES,
    ),
    Mutant(
        "a failing key holds up its lane",
        ALONE,
        LANE_DELIVERY,
        "                case Retry(fault=Fault.FAILED) if entry.event.key not in again_keys:",
        "                case Retry(fault=Fault.FAILED) if False and not again_keys:",
        KEYS + "::test_others_of_its_lane_go_on_while_it_is_tried_again",
    ),
    Mutant(
        "what queued up behind a failing key is forgotten",
        LIVENESS,
        TRIALS,
        "        while queue:\n            entry, end = queue.popleft()\n",
        "        for entry, end in [queue[0]]:\n",
        KEYS + "::test_a_poison_key_ends_as_dead_letters_in_order_while_others_flow",
    ),
    Mutant(
        "every failure spends the budget",
        BUDGET,
        TRIALS,
        "if failure.fault is Fault.FAILED and self._is_spent(trial, failure):",
        "if self._is_spent(trial, failure):",
        KEYS + "::test_a_failing_event_pays_nothing_for_an_outage_that_follows",
    ),
    Mutant(
        "a failure spends the budget though nobody else gets through",
        BUDGET,
        TRIALS,
        "others_tell = self._attempts.answers > trial.answers",
        "others_tell = self._attempts.answers >= trial.answers",
        OUTAGES + "::test_an_outage_of_ten_minutes_makes_no_dead_letter",
    ),
    Mutant(
        "a rejected event is tried until it fits",
        LIVENESS,
        LANE_DELIVERY,
        "self._trials.park(entry, outcome, message)",
        "again.append((entry, message))",
        KEYS + "::test_what_the_sink_will_never_take_is_parked_at_once",
    ),
    Mutant(
        "a dead letter counts before it is durable",
        SETTLED,
        SETTLING,
        "            except Unreachable as error:\n",
        "            except Unreachable as error:\n                return\n",
        STATE + "::test_a_dead_letter_waits_for_the_store_and_its_key_with_it",
    ),
    Mutant(
        "a key that was asked to wait is tried when its own wait is over",
        "the sink's wait is honoured",
        TRIALS,
        "await anyio.sleep(max(backoff.next(), failure.after_secs or 0.0))",
        "await anyio.sleep(backoff.next())",
        KEYS + "::test_a_failure_with_a_request_to_wait_is_not_tried_sooner",
    ),
    Mutant(
        "a lane that was asked to wait is tried when its own wait is over",
        "the sink's wait is honoured",
        LANE_DELIVERY,
        "await anyio.sleep(max(backoff.next(), _asked_to_wait(outcomes)))",
        "await anyio.sleep(backoff.next())",
        KEYS + "::test_a_failure_with_a_request_to_wait_is_not_tried_sooner",
    ),
    Mutant(
        "all who wait for a probe go at once",
        "one probe at a time",
        ATTEMPTS,
        "                return await self._send_in_turn(call, messages, entries, since, self._may_probe)\n"
        "        return None",
        "                pass\n        return await self._send(call, messages, entries, since)",
        PROBES,
    ),
    Mutant(
        "a probe goes on until it succeeds",
        "one bad event cannot keep a circuit open",
        ATTEMPTS,
        "            if not self._circuit.is_closed() and self._may_probe():\n"
        "                return await self._send_in_turn(call, messages, entries, since, self._may_probe)\n",
        "            while not self._circuit.is_closed():\n"
        "                outcomes = await self._send(call, messages, entries, since)\n"
        "                if self._circuit.is_closed():\n"
        "                    return outcomes\n"
        "                await anyio.sleep_until(self._circuit.open_until)\n",
        KEYS + "::test_an_event_that_fails_alone_proves_nothing_about_itself",
    ),
    Mutant(
        "who waits for a probe sleeps out the wait",
        "a sink that is back is used",
        ATTEMPTS,
        "                    await self._changed.wait()  # another attempt, sent earlier, "
        "may close it meanwhile",
        "                    await anyio.sleep_forever()",
        OUTAGES + "::test_a_late_success_lets_those_who_wait_for_a_probe_go_on",
    ),
    Mutant(
        "nobody is told that a circuit opened",
        DRAIN,
        ATTEMPTS,
        "fault=worst.fault.value, kind=worst.kind.value)\n            self._changed.notify()\n",
        "fault=worst.fault.value, kind=worst.kind.value)\n",
        DRAINS + "::test_a_drain_ends_when_a_sink_goes_down_meanwhile",
    ),
    Mutant(
        "a circuit never closes again",
        LIVENESS,
        CIRCUIT,
        "        self._open_until = self._failing_since = self.open_since = None\n",
        "        self._failing_since = self.open_since = None\n",
        "tests/core/test_circuit.py",
    ),
    Mutant(
        "a circuit is open as long every time",
        "probes of a sink that is down are few",
        CIRCUIT,
        "self._policy.initial_open_secs * 2 ** min(self._openings, 60)",
        "self._policy.initial_open_secs",
        OUTAGES + "::test_probes_of_a_sink_that_is_down_are_few",
    ),
    Mutant(
        "a bug of a sink is a bug of ours",
        "a sink cannot stop a route",
        SHARED_SINK,
        "        except Exception as error:\n",
        "        except ZeroDivisionError as error:\n",
        OUTAGES + "::test_an_outage_of_ten_minutes_makes_no_dead_letter",
    ),
    Mutant(
        "a sink's bound holds for each route",
        "a sink's concurrency is the target's",
        DELIVERY,
        "concurrency=policy.concurrency, beyond=sink.limit)",
        "concurrency=policy.concurrency, beyond=None)",
        LIMITS + "::test_a_route_keeps_to_its_concurrency",
    ),
    Mutant(
        "whoever waits is woken at the second call",
        LIVENESS,
        SIGNAL,
        "            self._event.set()\n            self._event = None\n",
        "            self._event = None\n",
        "tests/core/test_signal.py",
    ),
    Mutant(
        "what returns an awaitable is a coroutine function",
        "a server that was away at the start is waited for",
        BACKOFF,
        "return await retrying(once_more)",
        "return await retrying(call)",
        "tests/core/test_until_reachable.py",
    ),
    Mutant(
        "what was admitted is as good as settled",
        SETTLED,
        ROUTE,
        "        mark = self._window.watermark()\n",
        "        mark = self.admitted\n",
        SCHEDULES,
    ),
    Mutant(
        "the last save can be spared",
        ONCE,
        SAVER,
        "        while not await self._save([kept]):  # noqa: ASYNC110 - each turn is a try "
        "of its own\n"
        "            await anyio.sleep(_RETRY_SECS)\n",
        "",
        DRAINS + "::test_after_a_drain_nothing_comes_again",
    ),
    Mutant(
        "the last save is tried once",
        ONCE,
        SAVER,
        "        while not await self._save([kept]):  # noqa: ASYNC110 - each turn is a try "
        "of its own\n"
        "            await",
        "        if not await self._save([kept]):\n            await",
        DRAINS + "::test_the_last_save_is_tried_again_while_there_is_time",
    ),
    Mutant(
        "the last save may take for ever",
        DRAIN,
        SAVER,
        "with anyio.move_on_after(self._lease_secs / 3, shield=True) as patience:",
        "with anyio.move_on_after(86400.0, shield=True) as patience:",
        DRAINS + "::test_a_stop_is_bounded_though_the_store_hangs",
    ),
    Mutant(
        "what moved is told from the sum over all routes",
        "duplicates after a crash are bounded",
        SAVER,
        "renewal_due or kept.settled_now() != kept.settled",
        "renewal_due or sum(kept.settled_now().values()) != sum(kept.settled.values())",
        "tests/runtime/test_saver.py::test_what_a_route_settles_is_saved_though_as_much_went_with_a_replay",
    ),
    Mutant(
        "a lease need not be given back",
        "a successor begins at once",
        SAVER,
        "                await self._store.release(kept.lease)\n",
        "                pass\n",
        STATE + "::test_two_daemons_hand_over_without_loss_or_repetition",
    ),
    Mutant(
        "a lease is ours once we had it",
        FENCE,
        SAVER,
        "                if not still_held:\n",
        "                if False:\n",
        STATE + "::test_when_another_daemon_took_the_lease_nothing_more_is_written_or_sent",
    ),
    Mutant(
        "a lost lease cancels nobody",
        FENCE,
        SAVER,
        "        self.lost = reason\n        self.scope.cancel()",
        "        self.lost = reason",
        STATE + "::test_when_another_daemon_took_the_lease_nothing_more_is_written_or_sent",
    ),
    Mutant(
        "a lease that cannot be renewed does not run out",
        LEASE,
        SAVER,
        "            if now - kept.renewed_at >= self._lease_secs:",
        "            if False:",
        STATE + "::test_a_lease_that_cannot_be_renewed_ends_the_life",
    ),
    Mutant(
        "a write may outlast the lease",
        LEASE,
        SAVER,
        "        return min(self._lease_secs / 3, max(left, self._every_secs))",
        "        return self._lease_secs / 3 + 0 * left",
        STATE + "::test_a_lease_that_cannot_be_renewed_ends_the_life",
    ),
    Mutant(
        "a lease counts from when it was answered",
        LEASE,
        SUBSCRIPTION,
        "renewed_at=leased_at,",
        "renewed_at=anyio.current_time(),",
        STATE + "::test_a_lease_counts_from_when_it_was_asked_for",
    ),
    Mutant(
        "a lease is renewed with positions only",
        LEASE,
        SAVER,
        "(renewal_due or kept.settled_now() != kept.settled)",
        "kept.settled_now() != kept.settled",
        ADMISSION + "::test_an_idle_position_is_stored_now_and_then_and_the_lease_renewed_all_the_time",
    ),
    Mutant(
        "positions are saved with the lease only",
        FEW_AGAIN,
        SAVER,
        "(renewal_due or kept.settled_now() != kept.settled)",
        "renewal_due",
        ADMISSION + "::test_positions_are_stored_every_second_while_events_are_settled",
    ),
    Mutant(
        "what is settled during a save counts as saved",
        FEW_AGAIN,
        SAVER,
        "                kept.settled = now_settled\n",
        "                kept.settled = kept.settled_now()\n",
        ADMISSION + "::test_what_is_settled_during_a_save_is_stored_by_the_next_one",
    ),
    Mutant(
        "idle positions are saved every time",
        "an idle stream costs few writes",
        SAVER,
        "_IDLE_SAVE_SECS = 10.0",
        "_IDLE_SAVE_SECS = 0.0",
        ADMISSION + "::test_an_idle_position_is_stored_now_and_then_and_the_lease_renewed_all_the_time",
    ),
    Mutant(
        "a start need not be durable before the first read",
        DURABLE,
        SUBSCRIPTION,
        "            await self._saver.begin(lease, fresh)\n",
        "            pass\n",
        CRASHES + "::test_a_crash_at_any_moment_of_the_start_loses_nothing",
    ),
    Mutant(
        "a start may be refused",
        DURABLE,
        SAVER,
        "        if not held:\n",
        "        if False:\n",
        STATE + "::test_a_start_that_could_not_be_stored_is_none",
    ),
    Mutant(
        "a route that is new begins with the others",
        "a new route begins now",
        START,
        '        case "now":\n            return now\n',
        '        case "now":\n            return furthest\n',
        ADMISSION + "::test_a_route_that_is_new_begins_now_and_leaves_the_others_where_they_are",
    ),
    Mutant(
        "the drain waits for nobody",
        ONCE,
        SUBSCRIPTION,
        "                    await route.drained()",
        "                    pass",
        DRAINS + "::test_after_a_drain_nothing_comes_again",
    ),
    Mutant(
        "the drain waits for as long as it takes",
        DRAIN,
        SUBSCRIPTION,
        "            with anyio.move_on_after(self._drain_secs) as patience:",
        "            with anyio.move_on_after(86400.0) as patience:",
        DRAINS + "::test_a_drain_waits_for_a_slow_attempt_but_not_for_one_that_hangs",
    ),
    Mutant(
        "the drain waits for a sink that is down",
        DRAIN,
        ROUTE,
        "        return self._circuit.is_closed() and self.sink.waiting_for is None and self.paused is None",
        "        return True",
        DRAINS + "::test_a_drain_does_not_wait_for_a_sink_that_is_down",
    ),
    Mutant(
        "a start is finished before it is stopped",
        "a stop is bounded",
        SUBSCRIPTION,
        "            if await self._unless_stopping(lambda: self._patiently(lambda: "
        "self._make_routes(lease))):",
        "            if await self._patiently(lambda: self._make_routes(lease)):",
        DRAINS + "::test_a_stop_while_the_start_waits_for_the_store_ends_it",
    ),
    Mutant(
        "a bug of a sink is its server's failure",
        "operators see what kind of failure it was",
        SHARED_SINK,
        "return Retry(Fault.FAILED, reason, kind=Failure.BUG)",
        "return Retry(Fault.FAILED, reason)",
        KEYS + "::test_what_kind_of_failure_it_was_is_kept_and_counted",
    ),
    Mutant(
        "an awaited delivery is settled like any other",
        SETTLED,
        SETTLING,
        "            if self._letters.awaits(entry.event):\n",
        "            if False:\n",
        LETTER_SCENES,
    ),
    Mutant(
        "every delivery is told to the store",
        "a delivery that nobody waits for costs no call",
        SETTLING,
        "            if self._letters.awaits(entry.event):\n",
        "            if True:\n",
        LETTER_SCENES + "::test_the_store_hears_of_nothing_else",
    ),
    Mutant(
        "what cannot be delivered is written all at once",
        "a store that is away is not stormed",
        SETTLING,
        "_MOST_PARKS_AT_ONCE = 16",
        "_MOST_PARKS_AT_ONCE = 100_000",
        LETTER_SCENES,
    ),
    Mutant(
        "an event without a form is parked before an earlier one of its key is delivered",
        ORDER,
        LANE_DELIVERY,
        "elif _has_key(encoded, entry):",
        "elif False:",
        MIXED,
    ),
    Mutant(
        "a key of which one event is rejected is also tried by its lane",
        ORDER,
        LANE_DELIVERY,
        "case Retry() if entry.event.key in rejected_keys:",
        "case Retry() if False and rejected_keys:",
        MIXED,
    ),
    Mutant(
        "an event parks at once though its key is set aside",
        ORDER,
        TRIALS,
        "        if key in self._queues:\n            self._queues[key].append((entry, end))\n",
        "        if False:\n",
        MIXED,
    ),
    Mutant(
        "a key of which a dead letter is being written may be released",
        "nothing of a held key goes on",
        HOLDS,
        "key in self._behind and key not in self._under_way and self._ended.get(key, 0) <= asked",
        "key in self._behind and self._ended.get(key, 0) <= asked",
        HELD_KEYS + "::test_a_release_that_races_with_a_park_lets_nothing_overtake",
    ),
    Mutant(
        "a park counts when it begins",
        "nothing of a held key goes on",
        HOLDS,
        "        self.parks += 1\n        self._ended[key] = self.parks\n",
        "        self._ended[key] = self.parks\n",
        "tests/core/test_holds.py",
    ),
    Mutant(
        "a call may mix events of a key though the first may hold the others",
        "nothing of a held key goes on",
        LANE_DELIVERY,
        "sink.traits.keeps_order and not policy.holds_keys",
        "sink.traits.keeps_order",
        HELD_KEYS + "::test_later_events_of_a_dead_key_are_parked_behind_it_in_order",
    ),
    Mutant(
        "what queued up behind an event that died is tried",
        "nothing of a held key goes on",
        TRIALS,
        "elif behind := self._settling.held_behind(entry.event):",
        "elif behind := None:",
        HELD_KEYS + "::test_later_events_of_a_dead_key_are_parked_behind_it_in_order",
    ),
    Mutant(
        "only what queued up is held",
        "nothing of a held key goes on",
        TRIALS,
        "        if entry.event.key not in held or self._settling.held_behind(entry.event) is None:\n",
        "        if True:\n",
        HELD_KEYS + "::test_later_events_of_a_dead_key_are_parked_behind_it_in_order",
    ),
    Mutant(
        "an event is tried for as long as it has tries",
        "an event that is too old is parked",
        TRIALS,
        "return is_old or self.attempts",
        "return self.attempts",
        KEYS + "::test_an_event_may_grow_too_old_to_be_tried_again",
    ),
    Mutant(
        "an event grows older while the sink is down",
        BUDGET,
        TRIALS,
        "self.outages is not None and self.outages == outages:",
        "True:",
        KEYS + "::test_an_event_does_not_grow_older_in_an_outage_that_only_others_meet",
    ),
    Mutant(
        "an event grows older while the sink is away for it",
        BUDGET,
        TRIALS,
        "                trial.answers = before\n                trial.failed_at = None\n",
        "                trial.answers = before\n",
        KEYS + "::test_an_event_does_not_grow_older_while_the_sink_is_away_for_it",
    ),
    Mutant(
        "permits flow in faster than the rate",
        "a rate is kept",
        RATE,
        "count / self._per_sec\n        await",
        "count / self._per_sec / 1.1\n        await",
        "tests/core/test_rate.py",
    ),
    Mutant(
        "what is not used is saved up for ever",
        "a rate is kept",
        RATE,
        "max(self._full_at, now)",
        "max(self._full_at, 0.0)",
        "tests/core/test_rate.py",
    ),
    Mutant(
        "whoever waits for permits has a place",
        "waiting for permits takes nobody's place",
        LIMIT,
        "            await self._bucket.take(messages)\n            await self._take_place(messages)\n",
        "            await self._take_place(messages)\n            await self._bucket.take(messages)\n",
        LIMITS + "::test_waiting_for_permits_takes_nobodys_place",
    ),
    Mutant(
        "who has waited for permits goes whatever happened meanwhile",
        "nothing goes to a sink that is down",
        ATTEMPTS,
        "            if may_go() and self._gate.reason is None:\n",
        "            if True:\n",
        LIMITS + "::test_an_attempt_that_waited_for_permits_does_not_go_to_a_sink_that_went_down",
    ),
    Mutant(
        "permits of attempts that did not go out are lost",
        "a rate is used",
        ATTEMPTS,
        "            self._limit.give_back(len(messages))\n",
        "",
        LIMITS + "::test_permits_of_attempts_that_did_not_go_out_are_not_lost",
    ),
    Mutant(
        "a call may carry whatever the sink takes",
        "no call has more than a second's worth",
        LANE_DELIVERY,
        "(sink.traits.max_batch, policy.batch_events, limit and limit.largest_call)",
        "(sink.traits.max_batch, policy.batch_events)",
        LIMITS + "::test_no_call_has_more_than_a_seconds_worth",
    ),
    Mutant(
        "without an order a failing event still sets its key aside",
        "a failing event holds up nobody",
        TRIALS,
        "        if self._ordering is Ordering.NONE:\n",
        "        if False:\n",
        ORDERING + "::test_without_an_order_later_events_of_a_failing_key_are_delivered_at_once",
    ),
    Mutant(
        "without an order each lane has its events",
        "events go to whichever lane is free",
        LANE_DELIVERY,
        "range(1 if policy.ordering is Ordering.NONE else self._workers)",
        "range(self._workers)",
        ORDERING + "::test_without_an_order_events_of_one_key_go_to_whichever_lane_is_free",
    ),
    Mutant(
        "a strict route goes on while an event is set aside",
        "a failing event holds up everything behind it",
        LANE_DELIVERY,
        "                await self._trials.over()\n",
        "                pass\n",
        ORDERING + "::test_with_a_strict_order_nothing_passes_a_failing_event",
    ),
    Mutant(
        "a strict route fills its calls",
        "a failing event holds up everything behind it",
        LANE_DELIVERY,
        "    if policy.ordering is Ordering.STRICT:\n        return 1\n",
        "",
        ORDERING + "::test_with_a_strict_order_nothing_passes_a_failing_event",
    ),
    Mutant(
        "a strict route has as many lanes as any",
        "a failing event holds up everything behind it",
        LANE_DELIVERY,
        "1 if policy.ordering is Ordering.STRICT else policy.lanes or sink.traits.lanes",
        "policy.lanes or sink.traits.lanes",
        ORDERING + "::test_with_a_strict_order_nothing_passes_a_failing_event",
    ),
    Mutant(
        "an event that all wait for pays only when others get through",
        "every event finds an end",
        TRIALS,
        "self._attempts.answers > trial.answers or self._ordering is Ordering.STRICT",
        "self._attempts.answers > trial.answers",
        ORDERING + "::test_with_a_strict_order_every_failure_of_its_own_spends_an_events_tries",
    ),
    Mutant(
        "an event that all wait for does not grow older while its failures keep the circuit open",
        "an event that is too old is parked",
        TRIALS,
        "outages = 0 if self._ordering is Ordering.STRICT else self._attempts.outages",
        "outages = self._attempts.outages",
        ORDERING + "::test_with_a_strict_order_an_event_grows_old_though_its_failures_open_the_circuit",
    ),
    Mutant(
        "the last event decides how long a batch waits",
        "no event waits longer for a fuller batch than it may",
        LANES,
        "due_at = self._put_at[0] + self._wait_secs",
        "due_at = self._put_at[-1] + self._wait_secs",
        "tests/core/test_lanes.py",
    ),
    Mutant(
        "a batch that is full by bytes waits",
        "a full batch does not wait",
        LANES,
        "            or self._size >= max_size\n",
        "",
        "tests/core/test_lanes.py",
    ),
    Mutant(
        "a worker takes what another one took meanwhile",
        LIVENESS,
        LANES,
        "            await self._filled.wait()\n        return False\n",
        "            await self._filled.wait()\n        return True\n",
        "tests/core/test_lanes.py",
    ),
    Mutant(
        "a drain waits for fuller batches",
        DRAIN,
        ROUTE,
        "        self._delivery.hurry()\n",
        "",
        BATCHES + "::test_a_drain_waits_for_no_fuller_call",
    ),
    Mutant(
        "a route may ask for more than a sink takes",
        "a sink's bounds hold",
        LANE_DELIVERY,
        "bounds = (sink.traits.max_batch, policy.batch_events, limit and limit.largest_call)",
        "bounds = (policy.batch_events or sink.traits.max_batch, limit and limit.largest_call)",
        BATCHES + "::test_a_route_may_ask_for_smaller_calls_than_the_sink_takes",
    ),
    Mutant(
        "an urgent event passes the earlier ones of its key",
        ORDER,
        PRIORITY,
        "            if waiting is None:\n",
        "            if waiting is None or self._is_urgent(entry.event):\n",
        "tests/core/test_priority.py",
    ),
    Mutant(
        "a key stays where it first was",
        "urgent events go first",
        PRIORITY,
        "        if not waiting.events:\n",
        "        if False:\n",
        "tests/core/test_priority.py",
    ),
    Mutant(
        "urgent events go for as long as there are any",
        LIVENESS,
        PRIORITY,
        "self._in_a_row < _MOST_IN_A_ROW or not self._queue",
        "True",
        "tests/core/test_priority.py",
    ),
    Mutant(
        "a route's priority is for show",
        "urgent events go first",
        LANE_DELIVERY,
        "return PriorityLane(policy.priority, policy.batch_wait_secs)",
        "return Lane(policy.batch_wait_secs)",
        PRIORITY_SCENES + "::test_urgent_events_pass_what_waits",
    ),
)
