"""Deliberate mistakes in the rules of the stage `validate`, and in how routes feed stages that remember."""

from __future__ import annotations

from tests.mutants.table import Mutant

__all__ = ["RULE_MUTANTS"]

VALIDATE = "stages/validate"
TESTS = "tests/stages/test_validate"
REMEMBERING = "tests/stages/test_remembering.py"
DEDUPE = "stages/dedupe.py"
DEDUPES = "tests/stages/test_dedupe.py"

RULE_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a rule that only warns parks",
        "a warning annotates, and nothing is parked for it",
        f"{VALIDATE}/stage.py",
        'if errors := self._failed(trial, "error"):',
        "if errors := sorted(trial.failures):",
        f"{TESTS}.py",
    ),
    Mutant(
        "rules are tried until one fails",
        "all rules are tried, and all that is wrong is told",
        f"{VALIDATE}/stage.py",
        "        for number, rule in enumerate(self._rules):\n            with",
        "        for number, rule in enumerate(self._rules):\n            if trial.failures:\n"
        "                break\n            with",
        f"{TESTS}.py",
    ),
    Mutant(
        "numbers are compared as doubles",
        "numbers are compared exactly, across their types",
        f"{VALIDATE}/comparing.py",
        "return kind_of(value), number",
        "return kind_of(value), float(number)",
        f"{TESTS}.py",
    ),
    Mutant(
        "each rule asks by itself",
        "one query for a batch and a collection",
        f"{VALIDATE}/stage.py",
        "found = await self._references.found(wish for trial in trials for wish in trial.wishes.values())\n"
        "        for trial in trials:\n",
        "for trial in trials:\n            found = await self._references.found(trial.wishes.values())\n",
        f"{TESTS}_references.py",
    ),
    Mutant(
        "a night belongs to the day on which it ends",
        "over midnight the day on which the time began counts",
        f"{VALIDATE}/hours.py",
        "(before in self._days and minute < end)",
        "(day in self._days and minute < end)",
        f"{TESTS}_hours.py",
    ),
    Mutant(
        "hours know no summer",
        "the clocks of the zone decide, in summer and in winter",
        f"{VALIDATE}/hours.py",
        "local = _moment(value).astimezone(self._zone)",
        "local = _moment(value).astimezone(UTC) + self._zone.utcoffset(datetime(2024, 1, 1))",
        f"{TESTS}_hours.py",
    ),
    Mutant(
        "what is refused is counted",
        "a rate counts what keeps it",
        f"{VALIDATE}/stage.py",
        "                if number not in trial.failures:\n                    rate.count(trial.view)\n",
        "                rate.count(trial.view)\n",
        f"{TESTS}_rates.py",
    ),
    Mutant(
        "what another rule parks is counted",
        "a rate counts what goes on",
        f"{VALIDATE}/stage.py",
        '        if not self._failed(trial, "error"):\n            for number, rate',
        "        if True:\n            for number, rate",
        f"{TESTS}_rates.py",
    ),
    Mutant(
        "values of a rate are remembered for ever",
        "memory is bounded",
        f"{VALIDATE}/rates.py",
        "            if len(self._counted) > self._options.entries:\n",
        "            if False:\n",
        f"{TESTS}_rates.py",
    ),
    Mutant(
        "stages that remember run in the lanes",
        "they are given each event once, in source order",
        "assembly.py",
        "transform=transformation(pipeline) if pipeline is not None and not remembers else None,\n"
        "        prepare=partial(_prepare, route.pipeline, context) if remembers else None,",
        "transform=transformation(pipeline) if pipeline is not None else None,\n        prepare=None,",
        f"{REMEMBERING}::test_a_rate_is_kept_in_source_order_whatever_lanes_do",
    ),
    Mutant(
        "what a remembering pipeline made is forgotten",
        "what is encoded is what the pipeline made",
        "runtime/messages.py",
        "made = slot.made if isinstance(slot, Prepared) else slot",
        "made = slot.event if isinstance(slot, Prepared) else slot",
        f"{REMEMBERING}::test_what_the_target_gets_is_what_the_pipeline_made",
    ),
    Mutant(
        "a replay counts with the live route",
        "each life of a route and each replay remembers by itself",
        "assembly.py",
        "prepare=partial(_prepare, route.pipeline, context) if remembers else None,",
        "prepare=(lambda made: lambda: made)(_prepare(route.pipeline, context)) if remembers else None,",
        f"{REMEMBERING}::test_each_life_of_a_route_and_each_replay_counts_by_itself",
    ),
    Mutant(
        "an event is dropped for a later one",
        "an event is dropped neither for itself nor for a later one",
        DEDUPE,
        "is_later = first.token <= event.token and first.id != event.id",
        "is_later = True",
        DEDUPES,
    ),
    Mutant(
        "a state that comes back is dropped",
        "by default what is dropped changes nothing at the target",
        DEDUPE,
        "is_new = first.content != content or _time",
        "is_new = _time",
        f"{REMEMBERING}::test_the_target_ends_with_the_last_state_of_each_document",
    ),
    Mutant(
        "what is dropped prolongs the window",
        "the window is counted from the first on",
        DEDUPE,
        "            return Filtered(event)\n",
        "            self._remember(identity, _First(content, event.token, event.id, _time(event)))\n"
        "            return Filtered(event)\n",
        f"{REMEMBERING}::test_nothing_is_lost_for_being_alike_whatever_crashes",
    ),
    Mutant(
        "events are dropped as lanes come to them",
        "of what is alike the first in source order goes on",
        "assembly.py",
        "transform=transformation(pipeline) if pipeline is not None and not remembers else None,\n"
        "        prepare=partial(_prepare, route.pipeline, context) if remembers else None,",
        "transform=transformation(pipeline) if pipeline is not None else None,\n        prepare=None,",
        f"{REMEMBERING}::test_the_first_of_what_is_alike_is_the_first_in_source_order",
    ),
    Mutant(
        "a collection that is dropped is not forgotten",
        "a document that was gone is told again",
        DEDUPE,
        "            self._firsts.clear()  # the documents may all be gone\n",
        "",
        DEDUPES,
    ),
    Mutant(
        "what lacks the same is alike",
        "an event in which something is missing goes on",
        DEDUPE,
        "return None if None in values else _hashed",
        "return _hashed",
        DEDUPES,
    ),
    Mutant(
        "what went on is remembered without bound",
        "memory is bounded",
        DEDUPE,
        "while len(self._firsts) > self._options.entries or",
        "while",
        DEDUPES,
    ),
    Mutant(
        "a stage may drop what dedupe has let go on",
        "dedupe comes last",
        "config/pipelines.py",
        'if stage is not None and says(stage.cls, "comes_last", stage.options):',
        "if False:",
        DEDUPES,
    ),
)
