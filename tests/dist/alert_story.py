"""What befalls two daemons, told once: all is well, all kinds of trouble come, all of them go."""

from __future__ import annotations

import signal
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import yaml
from pymongo import MongoClient

from eventbus.devservices import MongoService
from tests.dist.monitoring import RULES
from tests.dist.prometheus import Prometheus, shortened
from tests.dist.receiver import Receiver
from tests.dist.troubled import IDLE, ROUTES, of_routes, of_the_store
from tests.e2e.command import Operator
from tests.e2e.daemon import DaemonProcess
from tests.sources.test_mongodb_faults import roll_over

__all__ = ["CAUSES", "Story", "Teller"]

_PATIENCE_SECS: Final = 60.0
_STALL_SECS: Final = 3.3
"""A write that waits so long still ends well: the store is given four seconds."""
_LARGE: Final = 9 << 20
"""Half of more than MongoDB can send."""


_ROUTES, _STORE = {"instance": "routes"}, {"instance": "store"}
CAUSES: Final[Mapping[str, Mapping[str, str]]] = {
    "EventbusAbsent": {},  # no daemon runs
    "EventbusNobodyRunsSubscription": {"subscription": "idle00"},  # the store stalls for longer than a lease
    "EventbusSubscriptionRestarts": {"subscription": "crashing"},  # MongoDB refuses to give its stream
    "EventbusCheckpointsFail": _STORE,  # mongod is stopped
    "EventbusCheckpointsSlow": _STORE,  # mongod is stopped for three seconds
    "EventbusHeartbeatFails": _ROUTES,  # a rule of the collection refuses the document
    "EventbusReloadRefused": _ROUTES,  # the file names an option that there is not
    "EventbusHeadroomLow": {
        "subscription": "behind",
        "route": "behind",
    },  # an oplog of a megabyte, written full
    "EventbusHeadroomVeryLow": {"subscription": "behind", "route": "behind"},
    "EventbusPositionLost": {"subscription": "behind", "route": "behind"},
    "EventbusGap": {"subscription": "behind", "route": "behind"},
    "EventbusStreamBreaksOff": {"subscription": "broken"},  # its cursor is killed again and again
    "EventbusConnectionsRunOut": {**_STORE, "client": "state"},  # many ask a store that stalls
    "EventbusStageWaits": {"subscription": "asking", "stage": "http_lookup (1)"},  # nobody listens there
    "EventbusSinkDown": {"subscription": "down", "route": "down"},  # nobody listens there
    "EventbusRouteBehind": {"subscription": "down", "route": "down"},
    "EventbusRoutePausedBySink": {"subscription": "gone", "route": "gone"},  # 410
    "EventbusTargetLostPosition": {"subscription": "once", "route": "once", "found": "lost"},  # dropped
    "EventbusDeadLetters": {"subscription": "refused", "route": "refused"},  # 422
    "EventbusDeadLettersNotStored": {
        "subscription": "full",
        "route": "full",
    },  # there may be one, and there is
    "EventbusDeadLettersDropped": _ROUTES,  # there may be three
    "EventbusDeadLettersNotCopied": {"subscription": "refused", "route": "refused"},  # nobody listens there
    "EventbusChangeTooLarge": {"subscription": "large"},  # a field is too large to be split
}
"""By alert, in the order of the rules: labels that it has when it fires by its own cause."""
_OF_THE_STALL: Final = (
    "EventbusNobodyRunsSubscription",
    "EventbusCheckpointsFail",
    "EventbusCheckpointsSlow",
    "EventbusConnectionsRunOut",
)


@dataclass
class Story:
    """What Prometheus told, and when."""

    while_well: Mapping[str, Any] = field(default_factory=dict)
    fired: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)
    in_the_end: Mapping[str, Any] = field(default_factory=dict)
    metrics: list[str] = field(default_factory=list)
    """What each daemon said in the midst of its trouble."""


class Teller:
    """Makes everything happen, in its order.

    Args:
        stack: What is to be left in the end.
        mongo: Where the daemon reads whose routes get into trouble.
        paths: For directories.
    """

    def __init__(self, stack: ExitStack, mongo: MongoService, paths: pytest.TempPathFactory) -> None:
        enter = stack.enter_context
        self._prometheus = enter(Prometheus(shortened(RULES.read_text())))
        self._small = enter(MongoService.start(oplog_mb=1, extra_args=["--syncdelay", "1"], own=True))
        self._away, self._copies, self._there = (enter(Receiver()) for _ in range(3))
        self._there.statuses |= {"gone": 410, "refused": 422, "full": 422}
        name = f"alerts_{uuid.uuid4().hex[:8]}"
        client = enter(MongoClient[dict[str, Any]](mongo.uri))
        self._database, self._target = client[name], client[f"{name}_target"]
        for database in (name, f"{name}_state", f"{name}_target"):
            stack.callback(client.drop_database, database)
        self._shop = enter(MongoClient[dict[str, Any]](self._small.uri)).shop
        for subscription in (*ROUTES, "heartbeat"):
            self._database.create_collection(subscription)
        for subscription in ("behind", "full", *IDLE):
            self._shop.create_collection(subscription)
        self._target.create_collection("copies")
        self._config = of_routes(mongo.uri, name, self._away, self._copies, self._there)
        self._routes = enter(DaemonProcess(paths.mktemp("routes"), self._config))
        config = of_the_store(self._small.uri, self._away, self._there)
        self._store = enter(DaemonProcess(paths.mktemp("store"), config))
        self._fired: dict[str, list[dict[str, str]]] = defaultdict(list)
        self._kills = 0
        self._begun = time.monotonic()

    def tell(self) -> Story:
        """The whole story."""
        self._until_fired("EventbusAbsent")
        story = Story(while_well=self._all_is_well())
        self._get_routes_into_trouble()
        self._use_up_the_oplog()
        self._until_fired(*CAUSES.keys() - set(_OF_THE_STALL), meanwhile=self._go_on)
        story.metrics = [daemon.get("/metrics")[1] for daemon in (self._routes, self._store)]
        self._stall()
        story.metrics += [daemon.get("/metrics")[1] for daemon in (self._routes, self._store)]
        self._mend()
        story.fired = dict(self._fired)
        story.in_the_end = self._until_quiet()
        return story

    def _all_is_well(self) -> Mapping[str, Any]:
        """What fires while it is."""
        for daemon in (self._routes, self._store):
            daemon.start()
        self._scrape()
        self._until_quiet()
        before, self._fired = self._fired, defaultdict(list)
        self._database.once.insert_one({"_id": 1})
        self._routes.wait_for(lambda: self._target.copies.count_documents({}) == 1, "the first copy")
        self._wait(lambda: self._prometheus.scrapes() >= 10, lambda: "too few scrapes")
        found, self._fired = dict(self._fired), before
        return found

    def _get_routes_into_trouble(self) -> None:
        assert self._routes.terminate() == 0
        self._away.close()
        self._target.client.drop_database(self._target.name)
        self._target.create_collection("copies")
        self._routes.start(wait=False)
        self._routes.wait_for(lambda: self._routes.events("daemon_started"), "the start")
        self._scrape()
        self._database.command("collMod", "heartbeat", validator={"never": True})
        self._database.crashing.insert_one({"_id": 1})
        self._database.crashing.update_one({"_id": 1}, {"$set": {"x": 1}})  # and there is no image of before
        for name in ("asking", "down", "gone"):
            self._database[name].insert_one({"_id": 1})
        self._database.refused.insert_one({})
        self._routes.wait_for(lambda: "copies" in self._copies.asked, "the first copy of a dead letter")
        self._copies.close()
        self._database.refused.insert_many([{} for _ in range(6)])
        self._database.large.insert_one({"_id": 1, "text": "x" * _LARGE})
        self._configure({**self._config, "surprise": {}})

    def _use_up_the_oplog(self) -> None:
        """While a route stands still; then the daemon is away until its position is gone."""
        self._shop.behind.insert_many([{"_id": number} for number in range(20)])
        over = threading.Event()
        flood = threading.Thread(target=self._flood, args=(over,))
        flood.start()
        try:
            self._until_fired("EventbusHeadroomLow", "EventbusHeadroomVeryLow")
        finally:
            over.set()
            flood.join()
        self._store.kill()
        roll_over(self._shop.client)
        self._store.start(wait=False)
        self._store.wait_for(lambda: self._store.events("gap_recorded"), "the record of a gap")
        self._scrape()

    def _flood(self, over: threading.Event) -> None:
        while not over.wait(0.3):
            self._shop.client.filler.things.insert_many([{"pad": "x" * 100_000} for _ in range(20)])

    def _go_on(self) -> None:
        """With what has to come again and again; between two kills the stream is read once."""
        for name in ("full", *IDLE[1:])[: 12 if self._kills < 8 else 0]:
            self._shop[name].insert_one({})
        if self._database.broken.count_documents({}) > self._kills:
            self._kill_cursor()
        else:
            self._database.broken.insert_one({})

    def _stall(self) -> None:
        """For a moment first, then for longer than a lease."""
        self._until_fired("EventbusCheckpointsSlow", meanwhile=self._stall_for_a_moment)
        self._small.pause()
        try:
            self._until_fired(*_OF_THE_STALL)
        finally:
            self._small.resume()

    def _stall_for_a_moment(self) -> None:
        for _ in range(50):
            self._shop.idle00.insert_one({})
        self._small.pause()
        time.sleep(_STALL_SECS)  # this long is the cause
        self._small.resume()

    def _kill_cursor(self) -> None:
        """That of one stream, whether it waits or not."""
        looking: list[dict[str, Any]] = [
            {"$currentOp": {"idleCursors": True}},
            {"$match": {"ns": f"{self._database.name}.broken", "cursor.cursorId": {"$exists": True}}},
        ]
        found = [one["cursor"]["cursorId"] for one in self._database.client.admin.aggregate(looking)]
        if found:
            self._kills += 1
            self._database.command("killCursors", "broken", cursors=found)

    def _mend(self) -> None:
        self._away.open()
        self._copies.open()
        self._there.statuses.clear()
        self._database.command("collMod", "heartbeat", validator={})
        subscriptions = {**self._config["subscriptions"]}
        del subscriptions["crashing"]
        self._configure({**self._config, "subscriptions": subscriptions})
        operator = Operator(self._routes)
        operator.do("resume", "gone", "--route", "gone")
        operator.do("resume", "once", "--route", "once")
        self._shop.client.eventbus.dead_letters.delete_many({})
        words = ("--route", "behind", "--to", "now", "--yes")
        Operator(self._store).do("position", "set", "behind", *words)
        self._store.kill()  # what it knows of the headroom is a mean of five minutes
        self._store.start(wait=False)
        self._store.wait_for(lambda: self._store.events("daemon_started"), "the start")
        self._scrape()

    def _configure(self, config: Mapping[str, Any]) -> None:
        config = {**config, "server": {"port": 0}}
        self._routes.config_path.write_text(yaml.safe_dump(config))
        self._routes.process.send_signal(signal.SIGHUP)

    def _scrape(self) -> None:
        self._prometheus.scrape(routes=self._routes.port, store=self._store.port)

    def _until_fired(self, *names: str, meanwhile: Any = lambda: None) -> None:
        def missing() -> Collection[str]:
            return sorted(name for name in names if not self._has_fired(name))

        def all_fired() -> bool:
            if not missing():
                return True
            meanwhile()
            self._look()
            return not missing()

        try:
            self._wait(all_fired, missing)
        except AssertionError:  # the tests of these alerts fail
            print(f"{time.monotonic() - self._begun:5.1f} s: did not fire: {missing()}")

    def _has_fired(self, name: str) -> bool:
        return any(CAUSES[name].items() <= labels.items() for labels in self._fired[name])

    def _until_quiet(self) -> Mapping[str, Any]:
        """What fires for ever, or is about to fire."""

        def all_quiet() -> bool:
            self._look()
            return self._prometheus.up() == 2 and not self._prometheus.alerts()

        try:
            self._wait(all_quiet, lambda: "not quiet")
        except AssertionError:
            return self._prometheus.alerts()
        print(f"{time.monotonic() - self._begun:5.1f} s: none fires")
        return {}

    def _look(self) -> Mapping[str, list[dict[str, str]]]:
        firing = self._prometheus.alerts("firing")
        for name, found in firing.items():
            if not self._fired[name]:
                print(f"{time.monotonic() - self._begun:5.1f} s: {name} fires")
            self._fired[name] += [labels for labels in found if labels not in self._fired[name]]
        return firing

    def _wait(self, condition: Any, what: Any) -> None:
        self._prometheus.wait_for(condition, what, _PATIENCE_SECS)
