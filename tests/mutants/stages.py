"""Deliberate mistakes in pipelines, conditions and stages."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["STAGE_MUTANTS"]

ADMISSION = "stages/admission.py"
LOOKUP = "stages/lookup.py"
MASK = "stages/mask.py"
PIPELINE = "stages/pipeline.py"
PROJECTION = "encoding/projection.py"
MESSAGES = "runtime/messages.py"
SAMPLE = "stages/sample.py"

MASKS = "tests/stages/test_mask.py"
PARTS = "tests/stages/test_parts.py"
PIPELINES = "tests/stages/test_pipeline.py"
ROUTES = "tests/stages/test_routes.py"
KIT = "testing/stages.py"
KIT_TESTS = "tests/testing/test_stage_kit.py"
HIDDEN = "nothing of a hidden value is left anywhere"

STAGE_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "computed objects keep no order",
        "an event that comes again looks the same",
        "expressions/values.py",
        "for name in sorted(value)}",
        "for name in value}",
        "tests/stages/test_set.py::test_what_is_computed_looks_the_same_each_time",
    ),
    Mutant(
        "a lookup that is refused parks",
        "what is away is waited for",
        PIPELINE,
        """            return await until_reachable(
                lambda: step.stage.apply(slots), on_failure=partial(self._wait, step)
            )
""",
        "            return await step.stage.apply(slots)\n",
        "tests/stages/test_waiting.py::test_what_is_away_is_waited_for_and_nothing_is_parked",
    ),
    Mutant(
        "a lookup takes what is old for true",
        "what is known is asked for again when it is old",
        LOOKUP,
        "options.entries, options.ttl, timer",
        "options.entries, options.ttl * 10, timer",
        "tests/stages/test_lookup.py::test_what_is_known_is_not_asked_for_until_it_is_old",
    ),
    Mutant(
        "a lookup forgets the time",
        "as of the event",
        "stages/finding.py",
        "fields=fields, at=at)",
        "fields=fields)",
        "tests/stages/test_lookup.py::test_as_of_the_event_asks_for_each_cluster_time",
    ),
    Mutant(
        "old values are not hidden",
        HIDDEN,
        PROJECTION,
        "        return {side: then(one, tree) for side, one in value.items()}\n",
        "        return then(value, tree)\n",
        f"{MASKS}::test_a_field_is_hidden_wherever_an_update_touched_it",
    ),
    Mutant(
        "what an update set is not hidden",
        HIDDEN,
        MASK,
        'hidden.changed(section) if name == "changed" else hidden.within(section)',
        'section if name == "changed" else hidden.within(section)',
        f"{MASKS}::test_a_field_is_hidden_wherever_an_update_touched_it",
    ),
    Mutant(
        "indexes of arrays hide a field from the mask",
        HIDDEN,
        PROJECTION,
        "        if depth and name.isdecimal():\n",
        "        if False:\n",
        f"{MASKS}::test_a_field_is_hidden_wherever_an_update_touched_it",
    ),
    Mutant(
        "a salt is not asked for",
        "a hidden value cannot be guessed and tried",
        MASK,
        "        if wanting and (self.salt is None or not self.salt.get_secret_value()):\n",
        "        if False:\n",
        f"{MASKS}::test_what_is_wrong_is_said_before_the_start",
    ),
    Mutant(
        "a sample takes what is above",
        "a larger sample has all of a smaller one",
        SAMPLE,
        "< self._below else Filtered(event)",
        ">= self._below else Filtered(event)",
        f"{PARTS}::test_a_sample_is_the_same_whenever_it_is_taken",
    ),
    Mutant(
        "a route's pipeline changes nothing",
        "a route encodes what its pipeline makes of an event",
        MESSAGES,
        "made = slot if self._transform is None else self._transform(slot)",
        "made = slot",
        ROUTES,
    ),
    Mutant(
        "a route takes what its condition is not true of",
        "a route takes what its condition is true of",
        ADMISSION,
        "return event if when.holds(views.of(event)) else Filtered(event)",
        "return event",
        ROUTES,
    ),
    Mutant(
        "an event that a stage cannot handle is dropped",
        "an event that a stage cannot handle is parked, unless users want it otherwise",
        PIPELINE,
        "                return Parked(old, reason)\n",
        "                return Filtered(old)\n",
        PIPELINES,
    ),
    Mutant(
        "what a plugin's function raises is passed on",
        "nothing shows a value of a document",
        "expressions/functions.py",
        '            raise ValueError("no result") from None\n',
        "            raise\n",
        "tests/expressions/test_functions.py",
    ),
    Mutant(
        "the contract of stages does not look at reasons",
        "the kit finds what is wrong with a stage",
        KIT,
        "                assert UNTOLD not in slot.reason\n",
        "",
        KIT_TESTS,
    ),
    Mutant(
        "the contract of stages does not look at decoded documents",
        "the kit finds what is wrong with a stage",
        KIT,
        "assert sections_of(context.views.of(slot.event)) ==",
        "assert sections_of(_context().views.of(slot.event)) ==",
        KIT_TESTS,
    ),
    Mutant(
        "a stage passes nothing through",
        "a stage cannot bring back what was dropped or parked",
        "stages/each.py",
        "changed = [self._changed(slot) if isinstance(slot, Event) else slot for slot in slots]",
        "changed = [self._changed(slot.event) for slot in slots]",
        "tests/stages/test_contract.py",
    ),
)
