"""`eventbus dlq replay`: what is stored for the daemon to do, what is asked before, what is told after."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventbus.cli import resending
from eventbus.config import Config
from eventbus.errors import Unreachable
from eventbus.model import Failure
from eventbus.state.access import Access
from eventbus.state.operations import Operation, OperationKind, OperationStatus
from eventbus.state.store import Store
from tests.cli.by_hand import Step, ended, ending, move
from tests.cli.command_line import CommandLine
from tests.state.letters import event, letter

PLAN = """\
┏─┳─┳─┳─┳─┳─┳─┓
┃ subscription ┃ route ┃ letters ┃ keys ┃ bytes ┃ superseded ┃ held ┃
┡─╇─╇─╇─╇─╇─╇─┩
│ orders │ hook │ 3 │ 3 │ 231 │ 1 │ 1 │
│ orders │ feed │ 1 │ 1 │ 77 │ 0 │ 0 │
└─┴─┴─┴─┴─┴─┴─┘
"""
WARNING = "Of 1 of them a newer event of the key has gone out since"


@pytest.fixture
def parked(command: CommandLine) -> CommandLine:
    """Three dead letters of one route, one of which is held and one superseded, and one of another."""
    _park(command)
    return command


def _park(command: CommandLine) -> None:
    command.park(
        letter(1), letter(2), letter(3, kind=Failure.HELD, held_behind=event(1).id), letter(4, route="feed")
    )
    newer = event(9, document_key=event(2).document_key)
    command.on_store(lambda store: store.supersede_letters("orders", "hook", newer))


def test_a_dry_run_tells_and_does_nothing(parked: CommandLine) -> None:
    """Totals by route; nothing is stored, nothing is asked."""
    answer = parked("dlq", "replay", "--dry-run")
    assert (answer.code, answer.text, answer.err) == (0, PLAN, "")
    (row,) = parked("dlq", "replay", "--dry-run", "--json", "--skip-superseded", "--route", "hook").rows
    assert (row["letters"], row["superseded"], row["held"]) == (2, 0, 1)
    assert not parked.operations()


def test_it_is_stored_followed_and_told(parked: CommandLine) -> None:
    """One operation for each route, with who asked, what, how fast; exit 0 once all were delivered."""
    with ending(parked, ended(delivered=3), ended(delivered=1)):
        answer = parked("dlq", "replay", "--yes", "--rate", "3000/min")
    assert answer.code == 0
    assert answer.text.startswith(PLAN)
    assert WARNING in answer.err
    assert {"orders/hook: done, 3 delivered", "orders/feed: done, 1 delivered"} == {
        line.partition(" ")[2] for line in answer.text.splitlines() if "done" in line
    }
    feed, hook = parked.operations()
    assert (hook.kind, hook.subscription, hook.route) == (OperationKind.DEAD_LETTERS, "orders", "hook")
    assert (list(hook.routes), dict(hook.match), hook.rate, hook.runner) == (["hook"], {}, 50.0, "")
    assert (feed.route, list(feed.routes)) == ("feed", ["feed"])
    assert "@" in hook.requested_by
    assert len({hook.id, feed.id}) == 2


@pytest.mark.parametrize(
    "last",
    [
        ended(delivered=2, parked=1),
        ended(OperationStatus.FAILED, "the sink is gone"),
        ended(OperationStatus.CANCELLED),
    ],
    ids=["parked", "failed", "cancelled"],
)
def test_what_did_not_go_well_is_told(parked: CommandLine, last: Step) -> None:
    """Exit 1, with the words of who ran it."""
    with ending(parked, last):
        answer = parked("dlq", "replay", "--yes", "--route", "hook")
    assert answer.code == 1
    assert answer.out.rstrip().endswith(last[2])


def test_a_superseded_one_is_asked_about(parked: CommandLine) -> None:
    """A no stores nothing; a yes sends them; --skip-superseded has nothing to ask."""
    answer = parked("dlq", "replay", "--detach", typed="n\n")
    assert answer.code == 1
    assert WARNING in answer.err
    assert not parked.operations()
    answer = parked("dlq", "replay", "--detach", "--route", "hook", typed="y\n")
    assert answer.code == 0
    (operation,) = parked.operations()
    assert operation.progress.total == 2
    parked("operation", "cancel", operation.id)
    answer = parked(
        *(
            "dlq",
            "replay",
            "--detach",
            "--route",
            "hook",
            "--skip-superseded",
            "--match",
            '{"size": {"$gt": 1}}',
        )
    )
    assert answer.code == 0
    assert WARNING not in answer.err
    assert "wait behind another of their key" in answer.err
    operation = parked.operations()[0]
    assert operation.progress.total == 1
    assert dict(operation.match) == {"$and": [{"size": {"$gt": 1}}, {"superseded_by": {"$exists": False}}]}


def test_dead_letters_of_a_replay_belong_to_its_route(parked: CommandLine) -> None:
    """Whoever names the route means them, too; each has an operation of its own, into the same sink."""
    replay = Operation("0123456789", OperationKind.REPLAY, "orders", "hook")
    parked.on_store(lambda store: store.add_operation(replay))
    parked.park(letter(7, route=replay.stored_route))
    assert len(parked("dlq", "list", "--json", "--route", "hook").rows) == 4
    assert parked("dlq", "replay", "--yes", "--detach", "--route", "hook").code == 0
    of_replay, of_live, _ = parked.operations()
    assert (of_replay.route, list(of_replay.routes)) == ("hook", ["hook@0123456789"])
    assert (of_live.route, list(of_live.routes)) == ("hook", ["hook"])
    assert (of_replay.progress.total, of_live.progress.total) == (1, 2)
    assert [row["route"] for row in parked("dlq", "list", "--json", "--route", "hook@0123456789").rows] == [
        "hook@0123456789"
    ]


def test_nothing_to_send(alone: CommandLine) -> None:
    """Says so, and stores nothing."""
    alone.park()
    answer = alone("dlq", "replay", "--route", "hook")
    assert (answer.code, answer.out, alone.operations()) == (0, "no dead letters\n", [])


def test_two_at_a_time_are_refused(alone: CommandLine) -> None:
    """The same dead letters would be sent twice; another route's are free."""
    _park(alone)
    assert alone("dlq", "replay", "--route", "hook", "--yes", "--detach").code == 0
    (first,) = alone.operations()
    answer = alone("dlq", "replay", "--yes", "--detach")
    assert answer.code == 2
    assert f"operation {first.id} sends dead letters of orders/hook already" in answer.err
    assert alone.operations() == [first]
    assert alone("dlq", "replay", "--route", "feed", "--yes", "--detach").code == 0


def test_a_pause_is_pointed_out(alone: CommandLine) -> None:
    """Nothing moves until it is lifted, and nobody should wonder why."""
    _park(alone)
    alone("pause", "orders", "--reason", "closed")
    answer = alone("dlq", "replay", "--route", "feed", "--detach")
    assert "route orders/feed is paused, so this waits until it is resumed: closed" in answer.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--subscription", "order"), "no subscription is named 'order', did you mean 'orders'?"),
        (("--route", "hok"), "has no route 'hok', did you mean 'hook'?"),
        (("--rate", "50"), "--rate: expected a rate above 0 with its unit"),
        (("--json",), "--json: only with --dry-run"),
        (("--resume", "0123456789"), "--resume: needs --with"),
    ],
)
def test_a_call_that_is_wrong(alone: CommandLine, words: tuple[str, ...], problem: str) -> None:
    """Exit 2, nothing stored."""
    _park(alone)
    answer = alone("dlq", "replay", "--yes", *words)
    assert (answer.code, alone.operations()) == (2, [])
    assert problem in answer.err


class TestWithAnotherConfiguration:
    """The command itself does the work, by the routes and sinks of an edited file.

    How dead letters are sent is the engine's business and shown there; here somebody stands in for it.
    """

    @pytest.fixture
    def edited(self, parked: CommandLine, tmp_path: Path) -> Path:
        """The same configuration with one more attempt."""
        path = tmp_path / "edited.yaml"
        path.write_text(parked.text + "defaults: {retry: {attempts: 6}}\n")
        return path

    def test_it_runs_here(self, parked: CommandLine, edited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the edited routes, one operation after another, none of them for a daemon."""
        ran: list[tuple[str, str, int]] = []

        async def run(config: Config, operation: Operation) -> None:
            attempts = config.subscriptions["orders"].routes[0].retry.attempts
            ran.append((operation.route, operation.runner, attempts))
            await _end(parked, operation, ended(delivered=1))

        monkeypatch.setattr(resending, "run_operation", run)
        answer = parked("dlq", "replay", "--yes", "--with", str(edited))
        assert (answer.code, ran) == (0, [("hook", "command", 6), ("feed", "command", 6)])

    def test_it_goes_on_after_it_was_ended(
        self, parked: CommandLine, edited: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same operation, until it is over."""

        async def fail(config: Config, operation: Operation) -> None:
            raise Unreachable("the state store went away")

        async def run(config: Config, operation: Operation) -> None:
            await _end(parked, operation, ended(delivered=3))

        monkeypatch.setattr(resending, "run_operation", fail)
        answer = parked("dlq", "replay", "--yes", "--route", "hook", "--with", str(edited))
        (operation,) = parked.operations()
        again = ("dlq", "replay", "--resume", operation.id, "--with", str(edited))
        assert answer.code == 3
        assert answer.err.splitlines()[-2:] == [
            f"{operation.id} has stopped: 'eventbus {' '.join(again)}' goes on",
            "the state store went away",
        ]
        monkeypatch.setattr(resending, "run_operation", run)
        assert parked(*again).code == 0
        answer = parked(*again)
        assert (answer.code, answer.err) == (2, f"{operation.id} is over: done\n")

    def test_what_the_daemon_runs_is_left_to_it(self, parked: CommandLine, edited: Path) -> None:
        """Two would run it at once."""
        parked("dlq", "replay", "--yes", "--route", "hook", "--detach")
        (operation,) = parked.operations()
        answer = parked("dlq", "replay", "--resume", operation.id, "--with", str(edited))
        assert answer.code == 2
        assert "is run by the daemon" in answer.err

    def test_another_state_is_refused(self, parked: CommandLine, edited: Path, tmp_path: Path) -> None:
        """The dead letters are in this one."""
        edited.write_text(edited.read_text().replace("state: {", "state: {type: sqlite, path: x}\n#"))
        answer = parked("dlq", "replay", "--yes", "--with", str(edited))
        assert (answer.code, parked.operations()) == (2, [])
        assert answer.err == "--with: its state is another one than that of --config\n"

    def test_it_cannot_be_left_alone(self, parked: CommandLine, edited: Path) -> None:
        """Nobody else does the work."""
        answer = parked("dlq", "replay", "--yes", "--detach", "--with", str(edited))
        assert (answer.code, parked.operations()) == (2, [])
        assert answer.err.startswith("--detach: ")


async def _end(command: CommandLine, operation: Operation, step: Step) -> None:
    """Do what whoever runs an operation does last."""
    import anyio.to_thread

    async def body(store: Store) -> None:
        await move(store, operation, step)

    await anyio.to_thread.run_sync(command.on_store, body, Access.DAEMON)
