"""Deliberate mistakes in the engine, each with the promise that it breaks and the tests that must notice.

A mutant is a text to be found exactly once in a file and what stands there instead. One whose text is no
longer found is an error: the engine has changed, and the mutant must change with it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MUTANTS", "Mutant"]

SCHEDULES = "tests/runtime/test_random_schedules.py"
CORE = "tests/core"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake.

    Args:
        name: What the mistaken programmer thought.
        breaks: The invariant of the design, or the rule of the engine, that no longer holds.
        file: Where, below ``eventbus/``.
        old: What stands there.
        new: What the mutant puts there.
        tests: What must fail.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    tests: str = SCHEDULES


WINDOW = "core/window.py"
LANES = "core/lanes.py"
CIRCUIT = "core/circuit.py"
ROUTE = "runtime/route.py"
DELIVERY = "runtime/delivery.py"
SAVER = "runtime/saver.py"
SUBSCRIPTION = "runtime/subscription.py"
FLOW = "runtime/flow.py"

NOT_SETTLED = "(i) all at or before a stored position is settled"
ORDER = "(ii) first deliveries of a key are in source order"
BOUNDED = "(iii) open tickets never exceed the window"
FEW_AGAIN = "(iv) duplicates are bounded"
LIVENESS = "every event finds an end"
BUDGET = "an outage spends no event's retries"
OWN = "a route owns what it admitted; a take skips it"
FENCE = "only the holder of the lease writes"

MUTANTS = (
    Mutant(
        "the watermark is the end of the front slice",
        NOT_SETTLED,
        WINDOW,
        "return front.position_before(front.settled.index(0)) or self._end",
        "return front.end",
    ),
    Mutant(
        "the watermark includes the first open event",
        NOT_SETTLED,
        WINDOW,
        "return self.slots[index - 1].event.position if index else None",
        "return self.slots[index].event.position",
    ),
    Mutant(
        "the watermark moves by slices only",
        FEW_AGAIN,
        WINDOW,
        "return front.position_before(front.settled.index(0)) or self._end",
        "return self._end",
        CORE,
    ),
    Mutant(
        "a heartbeat moves the watermark past what is open",
        NOT_SETTLED,
        WINDOW,
        "        if self._tickets:\n            self._tickets[-1].end = end\n"
        "        else:\n            self._end = end",
        "        self._end = end",
    ),
    Mutant(
        "heartbeats are dropped while something is open",
        "an idle position moves",
        WINDOW,
        "            self._tickets[-1].end = end\n",
        "            pass\n",
    ),
    Mutant(
        "any settled slice is popped, open ones before it or not",
        NOT_SETTLED,
        WINDOW,
        "        return not ticket.open and self._pop()",
        "        return self._pop()",
        CORE,
    ),
    Mutant(
        "slices are popped while one event of them is open",
        NOT_SETTLED,
        WINDOW,
        "while self._tickets and not self._tickets[0].open:",
        "while self._tickets and self._tickets[0].open <= 1:",
    ),
    Mutant(
        "room never comes back",
        LIVENESS,
        WINDOW,
        "            self.events -= len(ticket.slots)\n",
        "",
    ),
    Mutant(
        "the window is bounded by events only",
        BOUNDED,
        WINDOW,
        "            if left <= 0:\n",
        "            if left <= -(10**12):\n",
    ),
    Mutant(
        "a slice may be as large as it likes",
        BOUNDED,
        WINDOW,
        "room = min(self._max_events - self.events, self.grain, last - first)",
        "room = min(max(self.grain, 8), last - first)",
    ),
    Mutant(
        "the event at the admitted position is taken again",
        OWN,
        "model.py",
        "return bisect_right(self.tokens, token)",
        "return __import__('bisect').bisect_left(self.tokens, token)",
    ),
    Mutant(
        "admitted does not move with a batch without events",
        "an idle position moves",
        ROUTE,
        "        if batch.end.token >= self.admitted.token:\n            self._window.advance(batch.end)\n",
        "        if batch.end.token >= self.admitted.token:\n",
    ),
    Mutant(
        "a barrier is an event like any other",
        "nothing overtakes a barrier",
        ROUTE,
        "    return slot.event.is_barrier and not isinstance(slot, Filtered)",
        "    return False",
    ),
    Mutant(
        "what follows a barrier need not wait for it",
        "nothing overtakes a barrier",
        ROUTE,
        "        if self._barrier is not None and self._barrier.open:\n            return 0\n",
        "",
    ),
    Mutant(
        "dead letters of an earlier life are forgotten",
        "a parked event is not delivered late",
        ROUTE,
        "        self._parked = set(parked)",
        "        self._parked: set[str] = set()",
    ),
    Mutant(
        "lanes are chosen by chance",
        ORDER,
        DELIVERY,
        "shares.setdefault(entry.event.key_hash % len(self._lanes), [])",
        "shares.setdefault(id(entry) // 64 % len(self._lanes), [])",
    ),
    Mutant(
        "a lane does not look whether a key was set aside",
        ORDER,
        DELIVERY,
        "        if not self._set_aside:\n            return batch\n",
        "        return batch\n",
    ),
    Mutant(
        "a wave is whatever is there",
        ORDER,
        LANES,
        "        if item_key in seen:\n",
        "        if False:\n",
    ),
    Mutant(
        "a failing key holds up its lane",
        "a failing key delays only itself",
        DELIVERY,
        "                case Retry(fault=Fault.FAILED) if entry.event.key not in again_keys:",
        "                case Retry(fault=Fault.FAILED) if False and not again_keys:",
    ),
    Mutant(
        "what queued up behind a failing key is forgotten",
        LIVENESS,
        DELIVERY,
        "        while queue:\n            entry = queue.popleft()\n            message",
        "        while False:\n            entry = queue.popleft()\n            message",
    ),
    Mutant(
        "every failure spends the budget",
        BUDGET,
        DELIVERY,
        "if failure.fault is Fault.FAILED and self._is_spent(trial, failure):",
        "if self._is_spent(trial, failure):",
    ),
    Mutant(
        "a failure spends the budget though nobody else gets through",
        BUDGET,
        DELIVERY,
        "        if self._progress > trial.progress:\n            trial.attempts += 1",
        "        if self._progress >= trial.progress:\n            trial.attempts += 1",
    ),
    Mutant(
        "a rejected event is tried until it fits",
        LIVENESS,
        DELIVERY,
        "await self._park(entry, reason, attempts=1, body=message.body, errors=(reason,))",
        "again.append((entry, message))",
    ),
    Mutant(
        "a dead letter counts before it is durable",
        NOT_SETTLED,
        DELIVERY,
        "                await self._park_letters([letter])\n                break\n"
        "            except Unreachable as error:\n",
        "                await self._park_letters([letter])\n                break\n"
        "            except Unreachable as error:\n                break\n",
    ),
    Mutant(
        "a probe is as good as any attempt: all go at once",
        "one probe at a time",
        DELIVERY,
        "            if not self._circuit.is_closed():\n"
        "                return await self._send(messages, since)\n",
        "",
        "tests/runtime/test_circuit_probes.py",
    ),
    Mutant(
        "a circuit never closes again",
        LIVENESS,
        CIRCUIT,
        '        self._open_until = None\n        self.reason = ""\n        return was_open',
        '        self.reason = ""\n        return was_open',
        CORE,
    ),
    Mutant(
        "what was admitted is as good as settled",
        NOT_SETTLED,
        ROUTE,
        "        return self._window.watermark()",
        "        return self.admitted",
    ),
    Mutant(
        "the last save can be spared",
        "after a drain nothing comes again",
        SAVER,
        "        while not await self._save([kept]):\n            await anyio.sleep(_RETRY_SECS)\n",
        "",
    ),
    Mutant(
        "a lease is ours once we had it",
        FENCE,
        SAVER,
        "                if not still_held:\n",
        "                if False:\n",
    ),
    Mutant(
        "a lease that cannot be renewed does not run out",
        FENCE,
        SAVER,
        "            if now - kept.renewed_at >= self._lease_secs:",
        "            if False:",
        "tests/runtime/test_lease_expiry.py",
    ),
    Mutant(
        "the flow opens where the most advanced route stands",
        OWN,
        SUBSCRIPTION,
        "        start = min((route.admitted",
        "        start = max((route.admitted",
    ),
    Mutant(
        "a start need not be durable before the first read",
        "starts are stored before the first read",
        SUBSCRIPTION,
        "            (held,) = await self._store.save([Save(lease, fresh)], lease_secs=self._lease_secs)\n",
        "            held = True\n",
    ),
    Mutant(
        "the drain waits for nobody",
        "after a drain nothing comes again",
        SUBSCRIPTION,
        "                    await route.drained()",
        "                    pass",
    ),
    Mutant(
        "a batch counts as handed out when one route took it",
        LIVENESS,
        FLOW,
        "            if not [route for route in self._routes if not route.take(batch)]:",
        "            if [route for route in self._routes if route.take(batch)]:",
    ),
)
