"""Circuits: when they open, for how long, and what closes them."""

from __future__ import annotations

from eventbus.core.circuit import Circuit, CircuitPolicy, CircuitState

POLICY = CircuitPolicy(failures=3, initial_open_secs=1.0, max_open_secs=3.0)


def opened(at: float = 0.0) -> Circuit:
    """A circuit that has just opened."""
    circuit = Circuit(POLICY)
    assert [circuit.failed(at, "down") for _ in range(3)] == [False, False, True]
    return circuit


def test_failures_in_a_row_open_it() -> None:
    """A success between them begins the count anew."""
    circuit = Circuit(POLICY)
    circuit.failed(0.0, "down")
    circuit.failed(0.0, "down")
    assert not circuit.succeeded()
    circuit.failed(0.0, "down")
    circuit.failed(0.0, "down")
    assert circuit.is_closed()
    assert circuit.failed(0.0, "down")
    assert not circuit.is_closed()


def test_one_refusal_of_us_opens_it_at_once() -> None:
    """And one request to wait."""
    assert Circuit(POLICY).failed(0.0, "who are you", at_once=True)
    circuit = Circuit(POLICY)
    assert circuit.failed(0.0, "busy", after_secs=20.0)
    assert circuit.open_until == 20.0


def test_it_is_half_open_when_its_time_is_up() -> None:
    """Then one probe may go."""
    circuit = opened()
    assert (circuit.state(0.5), circuit.open_until) == (CircuitState.OPEN, 1.0)
    assert circuit.state(1.0) is CircuitState.HALF_OPEN


def test_each_failed_probe_doubles_the_wait_up_to_a_bound() -> None:
    """One second, two, three, three."""
    circuit = opened()
    now, waits = 1.0, []
    for _ in range(3):
        assert not circuit.failed(now, "still down")
        waits.append(circuit.open_until - now)
        now += waits[-1]
    assert waits == [2.0, 3.0, 3.0]


def test_openings_are_counted() -> None:
    """Each once, however many probes fail."""
    circuit = opened()
    circuit.failed(1.0, "still down")
    assert circuit.outages == 1
    circuit.succeeded()
    assert circuit.failed(9.0, "who are you", at_once=True)
    assert circuit.outages == 2


def test_a_straggler_of_before_says_nothing_new() -> None:
    """It does not prolong the wait."""
    circuit = opened()
    circuit.failed(0.9, "late answer")
    assert circuit.open_until == 1.0


def test_a_success_closes_it_and_forgets() -> None:
    """The next opening is short again, and the reason is gone."""
    circuit = opened()
    circuit.failed(1.0, "still down")
    assert circuit.reason == "still down"
    assert circuit.succeeded()
    assert (circuit.is_closed(), circuit.reason) == (True, "")
    assert circuit.open_until < 1.0
    for _ in range(3):
        circuit.failed(10.0, "down")
    assert circuit.open_until == 11.0
