"""Questions to whoever types; where nobody is asked, what is usual, or a word on what is missing."""

from __future__ import annotations

from collections.abc import Collection

import typer

from eventbus.cli.initial.answers import SINK_TYPES, SinkAnswer, sinks_of
from eventbus.cli.printing import note, printable
from eventbus.errors import ConfigurationError

__all__ = ["Asking"]

_MOST_OFFERED = 20


class Asking:
    """Asks, or does not.

    Args:
        asks: Whether somebody is there to answer.
    """

    def __init__(self, *, asks: bool) -> None:
        self._asks = asks

    def text(
        self, what: str, given: str | None, usual: str | None, option: str, offers: Collection[str] = ()
    ) -> str:
        """A text.

        Args:
            what: What is asked for.
            given: What an option has said already.
            usual: What it mostly is; None if nobody can know.
            option: The option that could have said it.
            offers: What it may be, as far as it is known.

        Raises:
            ConfigurationError: Nobody is asked, and nothing is usual.
        """
        if given is not None:
            return given
        if self._asks:
            _offer(offers)
            return _asked(what, default=usual)
        if usual is None:
            raise ConfigurationError(f"{option}: needed, since nobody is asked")
        return usual

    def names(self, what: str, given: list[str], offers: Collection[str]) -> list[str]:
        """Names with commas between them; by default none."""
        if given or not self._asks:
            return given
        _offer(offers)
        return [name.strip() for name in _asked(what).split(",") if name.strip()]

    def yes(self, question: str, given: bool | None) -> bool:
        """Yes or no; by default no."""
        if given is not None or not self._asks:
            return bool(given)
        return typer.confirm(question, default=False, err=True)

    def sinks(self, given: list[str]) -> list[SinkAnswer]:
        """One sink or several. A wrong answer is said, and asked for again.

        Raises:
            ConfigurationError: What an option says is wrong, or nobody is asked and none is given.
        """
        if given or not self._asks:
            if not given:
                raise ConfigurationError("--sink: needed, such as --sink kafka=localhost:9092")
            return sinks_of(given)
        note("sinks, as TYPE=ADDRESS, such as:")
        for type_name, address in SINK_TYPES.items():
            note(f"  {type_name}={address}" if address else f"  {type_name}")
        written: list[str] = []
        found: list[SinkAnswer] = []
        while True:
            answer = _asked("one more sink, or nothing") if written else _asked("sink", default=None)
            if not answer:
                return found
            try:
                found = sinks_of([*written, answer], "sink")
            except ConfigurationError as error:
                note(str(error))
            else:
                written.append(answer)


def _asked(what: str, *, default: str | None = "") -> str:
    """What is typed; None for no default asks until something is."""
    return str(typer.prompt(what, default=default, show_default=bool(default), err=True)).strip()


def _offer(names: Collection[str]) -> None:
    if names:
        shown = sorted(names)[:_MOST_OFFERED]
        more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        note(f"there: {', '.join(map(printable, shown))}{more}")
