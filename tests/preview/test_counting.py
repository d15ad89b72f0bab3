"""Two versions are compared whatever the batches are, and seconds are counted wherever they lie."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventbus.model import ClusterTime, Event, Message, Position
from eventbus.preview.comparing import BEYOND_ALL, Comparison, Difference
from eventbus.preview.passage import Fate, Outcome, Passed
from eventbus.preview.stretch import Stretch
from eventbus.preview.tally import Pace

FATES = st.sampled_from(["delivered", "otherwise delivered", "parked", "filtered"])


def passed(number: int, fate: str) -> Passed:
    """A change of that number, with that fate on the one route."""
    event = Event(token=f"{number:04}", operation="insert", database="d", collection="c")
    if fate.endswith("delivered"):
        return Passed(event, {"r": Fate(Outcome.DELIVERED, message=Message(event, fate.encode()))})
    return Passed(event, {"r": Fate(Outcome(fate))})


@given(
    versions=st.tuples(*[st.dictionaries(st.integers(0, 30), FATES) for _ in range(2)]),
    cuts=st.tuples(*[st.integers(1, 7) for _ in range(2)]),
)
def test_a_comparison_is_one_of_sets(versions: tuple[dict[int, str], ...], cuts: tuple[int, ...]) -> None:
    """Whatever each poll brings of either version."""
    comparison = Comparison(["r"])
    left = [[passed(number, version[number]) for number in sorted(version)] for version in versions]
    read = ["", ""]
    while read != [BEYOND_ALL] * 2:
        behind = read.index(min(read))
        batch, left[behind] = left[behind][: cuts[behind]], left[behind][cuts[behind] :]
        read[behind] = batch[-1].event.token if left[behind] else BEYOND_ALL
        comparison.add(behind, batch, read[behind])
    new, running = ({n: fate for n, fate in one.items() if fate != "filtered"} for one in versions)
    both = new.keys() & running.keys()
    same = sum(new[number] == running[number] for number in both)
    expected = Difference(len(new.keys() - both), len(running.keys() - both), len(both) - same, same)
    assert comparison.differences == {"r": expected}


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 5)), min_size=1))
def test_the_busiest_minute_is_any_sixty_seconds(made: list[tuple[int, int]]) -> None:
    """Not only those that begin with a full minute."""
    first, last = (Position("", cluster_time=ClusterTime(1000 + secs, 1)) for secs in (0, 200))
    pace = Pace(Stretch(first, last))
    for second, count in made:
        pace.add(1000 + second, count)
    in_minutes = [sum(n for at, n in made if begun <= at < begun + 60) for begun in range(-60, 201)]
    assert pace.busiest_minute == max(in_minutes)
    assert pace.busiest_second == max(sum(n for at, n in made if at == one) for one, _ in made)
    assert pace.mean == sum(n for _, n in made) / 200
