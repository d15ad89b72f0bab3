"""Where a server is taken from, decided without any server."""

from __future__ import annotations

import pytest

from eventbus.devservices import Unavailable
from eventbus.devservices._errors import FetchFailed
from eventbus.devservices._finding import Address, Finders, Image, Program, find, find_ours

ADDRESS, IMAGE = Address("redis://elsewhere"), Image("redis:7.2", ("redis-server",))
ON_PATH, FETCHED = Program(("/usr/bin/redis-server",)), Program(("/cache/redis-server",))


class Places:
    """The four places, of which some have the server; remembers which were asked."""

    def __init__(self, *have: str) -> None:
        self.have = have
        self.asked: list[str] = []

    def finders(self) -> Finders:
        return Finders(
            address=lambda: ADDRESS if self.ask("address") else None,
            docker=lambda: IMAGE if self.ask("docker") else None,
            path=lambda: ON_PATH if self.ask("path") else None,
            fetch=self.fetch,
        )

    def ask(self, place: str) -> bool:
        self.asked.append(place)
        return place in self.have

    def fetch(self) -> Program:
        if not self.ask("fetch"):
            raise FetchFailed("apt-get said: E: no such package. Try again.\nOr not.")
        return FETCHED


@pytest.mark.parametrize(
    ("have", "expected", "asked"),
    [
        (("address", "docker", "path", "fetch"), ADDRESS, ["address"]),
        (("docker", "path", "fetch"), IMAGE, ["address", "docker"]),
        (("path", "fetch"), ON_PATH, ["address", "docker", "path"]),
        (("fetch",), FETCHED, ["address", "docker", "path", "fetch"]),
    ],
)
def test_the_first_place_that_has_it_wins_and_no_later_one_is_asked(
    have: tuple[str, ...], expected: object, asked: list[str]
) -> None:
    """What a developer named beats what is here, and what is here beats a download."""
    places = Places(*have)
    assert find(places.finders(), server="redis-server", remedy="install Redis") == expected
    assert places.asked == asked


def test_a_server_of_our_own_is_never_at_an_address() -> None:
    """A test that kills its server must not be handed somebody's."""
    places = Places("address", "docker", "path")
    assert find_ours(places.finders(), server="redis-server", remedy="install Redis") == IMAGE
    assert places.asked == ["docker"]


def test_unavailable_is_one_sentence_that_says_what_to_install() -> None:
    """Whatever a registry's client says, the message stays one line and one sentence."""
    with pytest.raises(Unavailable) as caught:
        find(Places().finders(), server="redis-server", remedy="install Redis 7 or set REDIS_URL")
    message = str(caught.value)
    assert message.startswith("No redis-server can be had here (apt-get said: E: no such package;")
    assert message.endswith("): install Redis 7 or set REDIS_URL.")
    assert "\n" not in message
    assert ". " not in message
