"""Backoff: full jitter below a bound that doubles; waiting for what must come back."""

from __future__ import annotations

from random import Random

import anyio
import pytest

from eventbus.core.backoff import Backoff, until_reachable
from eventbus.errors import ConfigurationError, Unreachable
from tests.runtime.clock import run_virtual


class Highest(Random):
    """The largest jitter there is."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_bound_doubles_up_to_the_maximum_and_begins_anew() -> None:
    """0.1, 0.2, 0.4, 0.5, 0.5; after a success 0.1."""
    backoff = Backoff(0.1, 0.5, Highest())
    assert [round(backoff.next(), 6) for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    backoff.reset()
    assert backoff.next() == 0.1


def test_the_jitter_is_full() -> None:
    """Anything between zero and the bound."""
    waits = [Backoff(1.0, 1.0, Random(seed)).next() for seed in range(200)]
    assert 0 <= min(waits) < 0.05
    assert 0.95 < max(waits) <= 1.0


def test_a_thousand_tries_do_not_overflow() -> None:
    """The bound is a float; two to the thousandth times a bit is none."""
    backoff = Backoff(1.0, 60.0, Highest())
    assert [backoff.next() for _ in range(2000)][-1] == 60.0


def test_it_waits_for_what_comes_back_and_tells_of_each_failure() -> None:
    """Three failures, then the answer, and time passed between the tries."""
    told: list[str] = []
    tries = 0

    async def call() -> str:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise Unreachable(f"try {tries}")
        return "there"

    async def body() -> float:
        assert await until_reachable(call, on_failure=lambda error: told.append(str(error))) == "there"
        return anyio.current_time()

    assert run_virtual(body) > 0.2
    assert told == ["try 1", "try 2", "try 3"]


def test_any_other_error_is_not_waited_for() -> None:
    """Waiting mends no configuration, neither at the first try nor later."""
    errors = iter([Unreachable("away"), ConfigurationError("refused")])

    async def call() -> None:
        raise next(errors)

    async def body() -> None:
        await until_reachable(call, on_failure=lambda _error: None)

    with pytest.raises(ConfigurationError):
        run_virtual(body)
