"""Deliberate mistakes in what makes an event take effect once: takeovers, slices, positions in targets."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["ONCE_MUTANTS"]

TAKEOVER = "runtime/takeover.py"
SLICES = "runtime/slice_delivery.py"
SCRIPTS = "sinks/redis/scripts.py"
MONGO = "sinks/mongodb/transactions.py"
KAFKA = "sinks/kafka/transactions.py"
POSITIONS = "sinks/kafka/positions.py"

SCENES = "tests/runtime/test_exactly_once.py"
IN_KAFKA = "tests/sinks/test_kafka_transactions.py"
KIT = "tests/sinks/test_contract.py"
KIT_OF_MONGODB = "tests/sinks/test_mongodb.py"

ONCE = "an event of a route that is delivered exactly once is in the target once"
FURTHER = "of the target's position and the state's the further one counts"
NOTICED = "a target that was emptied or restored is noticed"
TOLD = "an operator's word counts, and reaches the target before anything else"
OURS = "an owner that was shut out changes nothing"

ONCE_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a takeover believes the state alone",
        ONCE,
        TAKEOVER,
        "is_further = _is_further(theirs, ours)",
        "is_further = False",
        f"{SCENES}::test_killed_at_any_moment_it_sends_nothing_twice",
    ),
    Mutant(
        "a takeover believes the target alone",
        FURTHER,
        TAKEOVER,
        "is_further = _is_further(theirs, ours)",
        "is_further = True",
        f"{SCENES}::test_what_has_no_message_needs_no_commit",
    ),
    Mutant(
        "a restored target is not believed",
        NOTICED,
        TAKEOVER,
        "if theirs.token < ours.committed:",
        "if False:",
        f"{SCENES}::test_a_target_that_was_restored_gets_again_what_it_has_lost",
    ),
    Mutant(
        "an emptied target is filled from where the state stands",
        NOTICED,
        TAKEOVER,
        "            if not ours.committed:\n                return ours\n",
        "            return ours\n",
        f"{SCENES}::test_a_target_that_was_emptied_is_not_filled_without_a_word",
    ),
    Mutant(
        "the target knows better than the operator",
        TOLD,
        TAKEOVER,
        "        if ours.origin is Origin.SET:\n",
        "        if False:\n",
        f"{SCENES}::test_where_an_operator_moved_it_is_imposed_on_the_target_once",
    ),
    Mutant(
        "a state that was lost begins now, whatever the target has",
        ONCE,
        TAKEOVER,
        "        if ours.origin is Origin.FRESH:\n",
        "        if False:\n",
        f"{SCENES}::test_where_the_state_was_lost_the_target_says_where_to_go_on",
    ),
    Mutant(
        "a slice of unknown fate counts as delivered",
        ONCE,
        SLICES,
        "            if isinstance(answer, Delivered):\n",
        "            if isinstance(answer, Delivered | Retry):\n",
        f"{SCENES}::test_a_slice_of_unknown_fate_is_given_again_and_takes_effect_once",
    ),
    Mutant(
        "what is refused is forgotten",
        "what can never go out is a dead letter before the rest of its slice",
        SLICES,
        "                await trial.park(self._settling, failure)\n",
        "                self._settling.filtered(trial.entry)\n",
        f"{SCENES}::test_what_can_never_go_out_is_a_dead_letter_before_the_rest_of_its_slice",
    ),
    Mutant(
        "what was made ready before its key was held goes out",
        "what waits behind a dead letter goes on in order, and only then",
        SLICES,
        "        if self.held:\n",
        "        if False:\n",
        f"{SCENES}::test_a_held_key_waits_in_the_slice_that_was_made_ready_meanwhile",
    ),
    Mutant(
        "a slice has the position of the one that is made ready behind it",
        ONCE,
        SLICES,
        "            ready, self._next = self._next, _Slice()\n",
        "            ready, self._next = self._next, self._next\n",
        f"{SCENES}::test_killed_at_any_moment_it_sends_nothing_twice",
    ),
    Mutant(
        "a slice may follow any position in Redis",
        OURS,
        SCRIPTS,
        "if held[1] ~= epoch or (held[2] or '') ~= before then return {'moved'} end",
        "",
        f"{KIT}::TestRedis::test_a_slice_that_comes_too_late_changes_nothing",
    ),
    Mutant(
        "a slice is written again in Redis",
        ONCE,
        SCRIPTS,
        "if held[2] == position then return {'done'} end\n",
        "if held[2] == position then before = position end\n",
        f"{KIT}::TestRedis::test_a_slice_given_again_does_not_take_effect_twice",
    ),
    Mutant(
        "the ends of lists are first cut behind the messages",
        ONCE,
        SCRIPTS,
        "for i = 2, maxlen ~= '' and #KEYS or 1 do redis.call('LTRIM', KEYS[i], '0', '-1') end\n",
        "",
        "tests/sinks/test_redis_transactions.py",
    ),
    Mutant(
        "the position is first written behind the messages",
        ONCE,
        SCRIPTS,
        "redis.call('HSET', KEYS[1], 'epoch', epoch)\n",
        "",
        "tests/sinks/test_redis_transactions.py",
    ),
    Mutant(
        "a slice may follow any position in MongoDB",
        OURS,
        MONGO,
        '{"_id": self._route, "epoch": self._epoch, "position": self._last()}',
        '{"_id": self._route, "epoch": self._epoch}',
        f"{KIT_OF_MONGODB}::TestInsert::test_a_slice_that_comes_too_late_changes_nothing",
    ),
    Mutant(
        "MongoDB takes a slice of any epoch",
        OURS,
        MONGO,
        '{"_id": self._route, "epoch": self._epoch, "position": self._last()}',
        '{"_id": self._route, "position": self._last()}',
        f"{KIT_OF_MONGODB}::TestInsert::test_an_owner_that_was_shut_out_changes_nothing",
    ),
    Mutant(
        "a slice is sent to Kafka again without a look",
        ONCE,
        KAFKA,
        "        if self._held.position == position:\n            return DELIVERED\n",
        "",
        f"{KIT}::TestKafka::test_a_slice_given_again_does_not_take_effect_twice",
    ),
    Mutant(
        "a slice may follow any position in Kafka",
        OURS,
        KAFKA,
        "        if self._held.position != last:\n",
        "        if False:\n",
        f"{KIT}::TestKafka::test_a_slice_that_comes_too_late_changes_nothing",
    ),
    Mutant(
        "a producer goes on after what it had under way",
        ONCE,
        KAFKA,
        "            if not done:\n                await self._drop()\n",
        "            pass\n",
        f"{KIT}::TestKafka::test_a_commit_that_was_cancelled_is_given_again_in_full",
    ),
    Mutant(
        "an epoch is not looked at in Kafka",
        OURS,
        KAFKA,
        "            if held.epoch > self._epoch:\n",
        "            if False:\n",
        f"{IN_KAFKA}::test_a_zombie_disturbs_and_is_shut_out",
    ),
    Mutant(
        "a position is read up to what is committed by now",
        "a claim reads the last position, however late its marker comes",
        POSITIONS,
        'consumer = _consumer(client, "read_uncommitted")',
        'consumer = _consumer(client, "read_committed")',
        f"{IN_KAFKA}::test_a_transaction_that_was_left_open_ends_in_time",
    ),
    Mutant(
        "any topic may hold positions",
        "a topic that would lose positions is refused",
        POSITIONS,
        '    if policy != "compact":\n',
        "    if False:\n",
        f"{IN_KAFKA}::test_a_topic_that_would_lose_positions_is_refused",
    ),
)
