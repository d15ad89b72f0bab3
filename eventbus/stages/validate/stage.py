"""Tries all rules on every event, and tells all that it does not keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol

from eventbus.sdk import Condition, EncodingError, Event, ExpressionError, Parked, Slot, StageContext, View
from eventbus.stages.finding import Finder
from eventbus.stages.validate.fields import FieldCheck
from eventbus.stages.validate.hours import HoursCheck
from eventbus.stages.validate.options import Rule, ValidateOptions
from eventbus.stages.validate.rates import RateCheck
from eventbus.stages.validate.references import References, Wish, failure_of
from eventbus.telemetry import metrics

__all__ = ["Validate"]

WARNINGS: Final = "warnings"
"""The name under which events tell which rules they do not keep, of those that only warn."""


class _Check(Protocol):
    """What one rule asks of an event."""

    def failure(self, view: View) -> str | None:
        """Why the event does not keep it; None if it does."""


@dataclass(slots=True)
class _Trial:
    """An event and what came of its rules.

    Args:
        place: Its place in the batch.
        view: The event.
        failures: Why it does not keep rules, by their place.
        wishes: What it refers to, by the rule's place.
        counted: The places of the rules that count it.
    """

    place: int
    view: View
    failures: dict[int, str] = field(default_factory=dict)
    wishes: dict[int, Wish] = field(default_factory=dict)
    counted: list[int] = field(default_factory=list)

    def note(self, number: int, failure: str | None) -> None:
        """What came of a rule."""
        if failure is not None:
            self.failures[number] = failure


class _ConditionCheck:
    """Asks for a condition."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def failure(self, view: View) -> str | None:
        """See `_Check`."""
        return None if self._condition.holds(view) else "its condition is not true"


class Validate:
    """Tries rules.

    Args:
        options: The rules.
        context: What every stage is given.
    """

    name = "validate"
    short: ClassVar[str] = "rules"
    Options = ValidateOptions

    def __init__(self, options: ValidateOptions, context: StageContext) -> None:
        self._context = context
        self._rules = options.rules
        references = [rule.reference for rule in self._rules if rule.reference is not None]
        self._references = References(references, Finder(context))
        self._checks = {place: check for place, rule in enumerate(self._rules) if (check := _check_of(rule))}
        self._rates = {
            place: RateCheck(rule.rate) for place, rule in enumerate(self._rules) if rule.rate is not None
        }

    @staticmethod
    def sets(options: ValidateOptions) -> Iterator[str]:
        """The name under which events tell of rules that warn, if there are any."""
        if any(rule.severity == "warning" for rule in options.rules):
            yield WARNINGS

    @staticmethod
    def waits(options: ValidateOptions) -> bool:
        """Whether a rule asks for documents."""
        return any(rule.reference is not None for rule in options.rules)

    @staticmethod
    def remembers(options: ValidateOptions) -> bool:
        """Whether a rule counts events."""
        return any(rule.rate is not None for rule in options.rules)

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `eventbus.sdk.Stage`."""
        done = list(slots)
        trials: list[_Trial] = []
        for place, slot in enumerate(slots):
            if isinstance(slot, Event):
                tried = self._tried(place, slot)
                if isinstance(tried, _Trial):
                    trials.append(tried)
                else:
                    done[place] = tried
        await self._refer(trials)
        for trial in trials:
            self._count(trial)
            done[trial.place] = self._outcome(trial)
        return done

    def _tried(self, place: int, event: Event) -> _Trial | Parked:
        """What comes of the rules that look at the event alone."""
        trial = _Trial(place, self._context.views.of(event))
        try:
            has_document = trial.view.section("document") is not None
        except EncodingError as error:
            return Parked(event, str(error))
        for number, rule in enumerate(self._rules):
            with _noted(trial, number):
                if rule.when.holds(trial.view) if rule.when is not None else has_document:
                    self._try(trial, number, rule)
        return trial

    def _try(self, trial: _Trial, number: int, rule: Rule) -> None:
        if rule.reference is not None:
            trial.wishes[number] = self._references.wish(rule.reference, trial.view)
        elif rule.rate is not None:
            trial.counted.append(number)
        else:
            trial.note(number, self._checks[number].failure(trial.view))

    async def _refer(self, trials: Sequence[_Trial]) -> None:
        """Try the rules about other documents."""
        found = await self._references.found(wish for trial in trials for wish in trial.wishes.values())
        for trial in trials:
            for number, wish in trial.wishes.items():
                with _noted(trial, number):
                    trial.note(number, failure_of(wish, trial.view, found))

    def _count(self, trial: _Trial) -> None:
        """Try the rules that count, last: what is parked for another rule is not counted."""
        rates = {number: self._rates[number] for number in trial.counted}
        for number, rate in rates.items():
            with _noted(trial, number):
                trial.note(number, rate.failure(trial.view))
        if not self._failed(trial, "error"):
            for number, rate in rates.items():
                if number not in trial.failures:
                    rate.count(trial.view)

    def _outcome(self, trial: _Trial) -> Slot:
        event = trial.view.event
        for number in trial.failures:
            metrics.rule_failed(self._context.subscription, self._context.label, self._rules[number].name)
        if errors := self._failed(trial, "error"):
            told = (f"rule {self._rules[number].name}: {trial.failures[number]}" for number in errors)
            return Parked(event, "; ".join(told))
        warned = [self._rules[number].name for number in self._failed(trial, "warning")]
        if not warned:
            return event
        attributes = event.attributes or {}
        before = attributes.get(WARNINGS)
        known = [name for name in before if name not in warned] if isinstance(before, list) else []
        return event.revised(attributes={**attributes, WARNINGS: [*known, *warned]})

    def _failed(self, trial: _Trial, severity: str) -> list[int]:
        """The rules of a severity that an event does not keep, in their order."""
        return [number for number in sorted(trial.failures) if self._rules[number].severity == severity]


@contextmanager
def _noted(trial: _Trial, number: int) -> Iterator[None]:
    """A rule that cannot be tried is not kept."""
    try:
        yield
    except (ExpressionError, EncodingError) as error:
        trial.note(number, str(error))


def _check_of(rule: Rule) -> _Check | None:
    if rule.field is not None:
        return FieldCheck(rule.field)
    if rule.hours is not None:
        return HoursCheck(rule.hours)
    return _ConditionCheck(rule.condition) if rule.condition is not None else None
