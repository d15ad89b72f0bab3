"""`eventbus pause`, `resume`, and where a pause is seen."""

from __future__ import annotations

import pytest

from eventbus.model import ClusterTime, Position
from eventbus.state.store import Save, Store
from tests.cli.command_line import CommandLine, masked

POSITIONS = """\
┏─┳─┳─┳─┳─┳─┳─┓
┃ subscription ┃ route ┃ cluster_time ┃ age_secs ┃ paused ┃ kind ┃ token ┃
┡─╇─╇─╇─╇─╇─╇─┩
│ orders │ hook │ <time> │ <age> │ stock-taking (by <who> since <time>) │ event │ 820000000100 │
│ orders │ feed │ │ │ │ none yet │ │
│ products │ feed │ │ │ no reason given (by <who> since <time>) │ none yet │ │
└─┴─┴─┴─┴─┴─┴─┘
"""


async def _moved(store: Store) -> None:
    """One route has come somewhere."""
    lease = await store.acquire("orders", lease_secs=60.0, reclaim=True)
    assert lease is not None
    position = Position("820000000100", cluster_time=ClusterTime(1_700_000_000, 1))
    await store.save([Save(lease, {"hook": position})], lease_secs=60.0)


def test_a_pause_is_stored_and_shown(command: CommandLine) -> None:
    """Before any daemon has run as well as after: who, why and since when."""
    command.on_store(_moved)
    answer = command("pause", "orders", "--route", "hook", "--reason", "stock-taking")
    assert (answer.code, answer.text) == (
        0,
        "route orders/hook is paused: stock-taking (by <who> since <time>)\n",
    )
    answer = command("pause", "products")
    assert answer.text == "subscription products is paused: no reason given (by <who> since <time>)\n"
    shown = command("position", "show")
    assert shown.code == 0
    assert _without_age(shown.text) == POSITIONS
    rows = command("position", "show", "orders", "--json").rows
    assert [masked(row["paused"] or "") for row in rows] == ["stock-taking (by <who> since <time>)", ""]


def test_a_pause_stays_as_it_was_first_asked_for(command: CommandLine) -> None:
    """Who pauses what is paused learns since when."""
    command.park()
    first = command("pause", "orders", "--route", "hook", "--reason", "one").text
    answer = command("pause", "orders", "--route", "hook", "--reason", "two")
    assert (answer.code, answer.text) == (0, first.replace("is paused", "was paused already"))


def test_resuming_lifts_one_pause_and_names_the_others(command: CommandLine) -> None:
    """A pause of the whole and one of a route do not lift each other."""
    command.park()
    command("pause", "orders", "--reason", "all")
    command("pause", "orders", "--route", "hook", "--reason", "one")
    answer = command("resume", "orders")
    assert answer.code == 0
    assert answer.text.splitlines() == [
        "subscription orders is resumed; it was paused: all (by <who> since <time>)",
        "route orders/hook is still paused: one (by <who> since <time>)",
    ]
    answer = command("resume", "orders", "--route", "hook")
    assert answer.text == "route orders/hook is resumed; it was paused: one (by <who> since <time>)\n"
    answer = command("resume", "orders", "--route", "hook")
    assert (answer.code, answer.out) == (0, "route orders/hook was not paused\n")
    assert [row["paused"] for row in command("position", "show", "--json").rows] == [None] * 3


def test_a_route_that_is_gone_can_be_resumed(alone: CommandLine) -> None:
    """Or its pause would wait for the next route of that name."""
    alone.on_store(lambda store: store.set_paused("orders", "gone", "long ago"))
    answer = alone("resume", "orders", "--route", "gone")
    assert (answer.code, answer.out) == (0, "route orders/gone is resumed; it was paused: long ago\n")


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("order",), "no subscription is named 'order', did you mean 'orders'? (known: orders, products)\n"),
        (
            ("orders", "--route", "hok"),
            "subscription orders has no route 'hok', did you mean 'hook'? (known: feed, hook)\n",
        ),
        (("orders", "--route", "*"), "--route: leave it out for all routes of the subscription\n"),
    ],
)
def test_a_name_that_is_not_configured(
    alone: CommandLine, verb: str, words: tuple[str, ...], problem: str
) -> None:
    """Exit 2, and what was probably meant; nothing is stored."""
    alone.park()
    answer = alone(verb, *words)
    assert (answer.code, answer.out, answer.err) == (2, "", problem)
    assert [row["paused"] for row in alone("position", "show", "--json").rows] == [None] * 3


def test_a_position_of_a_subscription_that_is_not_there(alone: CommandLine) -> None:
    """Exit 2 with a suggestion."""
    answer = alone("position", "show", "product")
    assert (answer.code, answer.out) == (2, "")
    assert "did you mean 'products'?" in answer.err


def _without_age(text: str) -> str:
    row = next(line for line in text.splitlines() if " hook " in line)
    age = row.split(" │ ")[3]
    return text.replace(f" {age} ", " <age> ")
