"""What a shell offers after Tab, as it asks for it."""

from __future__ import annotations

import shlex

import pytest

from tests.cli.command_line import CommandLine


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pause -c CONFIG ", ["orders", "products"]),
        ("pause -c CONFIG o", ["orders"]),
        ("pause -c CONFIG orders --route ", ["hook", "feed"]),
        ("pause -c CONFIG products --route ", ["feed"]),
        ("replay -c CONFIG orders --route h", ["hook"]),
        ("tail -c CONFIG products --route ", ["feed"]),
        ("dlq list -c CONFIG --subscription p", ["products"]),
        ("dlq list -c CONFIG --route ", ["hook", "feed"]),
        ("status -c CONFIG ", ["orders", "products"]),
        ("sink test -c CONFIG ", ["hook", "feed"]),
        ("position set -c CONFIG orders --route f", ["feed"]),
        ("plugin new spool --kind s", ["sink", "source", "stage"]),
        ("pause -c missing.yaml ", []),
        ("pause -c BROKEN ", []),
        ("pause ", ["orders", "products"]),
        ("oper", ["operation"]),
    ],
)
def test_names_are_offered(
    line: str, offered: list[str], alone: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the configuration that the line names, or of eventbus.yaml; nothing where it cannot be read."""
    broken = alone.config_path.parent / "broken.yaml"
    broken.write_text("subscriptions: {orders: {routes: 3}, products: [\n")
    monkeypatch.chdir(alone.config_path.parent)
    typed = "eventbus " + line.replace("CONFIG", str(alone.config_path)).replace("BROKEN", str(broken))
    words = shlex.split(typed)
    monkeypatch.setenv("_EVENTBUS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(words) if typed.endswith(" ") else len(words) - 1))
    answer = alone.plainly()
    assert (answer.code, answer.out.split()) == (0, offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_ask(shell: str, alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script that --install-completion installs."""
    monkeypatch.setenv("_EVENTBUS_COMPLETE", f"source_{shell}")
    answer = alone.plainly()
    assert answer.code == 0
    assert f"_EVENTBUS_COMPLETE=complete_{shell}" in answer.out
