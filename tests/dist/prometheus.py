"""A real Prometheus with the rules that are shipped, in which minutes are seconds."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import yaml

from eventbus.devservices._keep import KeptDirectory
from eventbus.devservices._launch import launch
from eventbus.devservices._ports import on_a_free_port
from eventbus.devservices.tools import tool

__all__ = ["Prometheus", "shortened"]

_WINDOWS: Final = {"5m": "12s", "10m": "15s", "15m": "20s", "1h": "25s", "1d": "30s"}
"""How long the windows of expressions are here: in the same order, and each longer than a few scrapes."""
_FOR: Final = {"1m": "1s", "2m": "1s", "3m": "1s", "5m": "2s", "10m": "3s"}
_BEHIND: Final = ("eventbus:route_lag_seconds > 300", "eventbus:route_lag_seconds > 20")
"""The one threshold that is minutes; all others stay as they are shipped."""


def shortened(rules: str) -> str:
    """The rules with other durations, and nothing else; one that has no short form is an error."""
    assert _BEHIND[0] in rules
    text = re.sub(r"\[(\w+)\]", lambda found: f"[{_WINDOWS[found[1]]}]", rules.replace(*_BEHIND))
    text = re.sub(r"\boffset (\w+)", lambda found: f"offset {_WINDOWS[found[1]]}", text)
    return re.sub(r"\bfor: (\w+)", lambda found: f"for: {_FOR[found[1]]}", text)


class Prometheus:
    """It scrapes and evaluates every half second.

    Args:
        rules: The rules that it evaluates.
    """

    def __init__(self, rules: str) -> None:
        directory = KeptDirectory("prometheus")
        self._targets = directory.path / "targets.json"
        self._targets.write_text("[]")
        (directory.path / "rules.yaml").write_text(rules)
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {
                    "job_name": "eventbus",
                    "file_sd_configs": [{"files": [str(self._targets)], "refresh_interval": "1s"}],
                }
            ],
        }
        file = directory.path / "prometheus.yaml"
        file.write_text(yaml.safe_dump(config))
        program = tool("prometheus")
        arguments = [f"--config.file={file}", f"--storage.tsdb.path={directory.data}"]
        ready = "Server is ready to receive web requests."

        def start(port: int) -> None:
            self._url = f"http://127.0.0.1:{port}"
            address = f"--web.listen-address=127.0.0.1:{port}"
            self._server = launch(directory, program, [*arguments, address], ready=ready)

        on_a_free_port(start)

    def scrape(self, **ports: int) -> None:
        """Scrape these daemons from now on, each by the name of its instance."""
        groups = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}} for name, port in ports.items()
        ]
        part = self._targets.with_suffix(".part")
        part.write_text(json.dumps(groups))
        part.replace(self._targets)

    def alerts(self, *states: str) -> Mapping[str, list[dict[str, str]]]:
        """The alerts that are there now, by name, with labels: all, or those in one of these states."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self._get("alerts")["alerts"]:
            if not states or alert["state"] in states:
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    def up(self) -> int:
        """How many daemons the last scrape found."""
        result = self._get("query?query=sum(up)")["result"]
        return int(result[0]["value"][1]) if result else 0

    def scrapes(self) -> int:
        """How often each daemon was scraped in the last minutes, at least."""
        result = self._get("query?query=min(sum_over_time(up[5m]))")["result"]
        return int(result[0]["value"][1]) if result else 0

    def wait_for(self, condition: Callable[[], bool], what: Callable[[], str], within_secs: float) -> None:
        """Wait until it is so.

        Raises:
            AssertionError: It took too long.
        """
        deadline = time.monotonic() + within_secs
        while not condition():
            assert time.monotonic() < deadline, what()
            time.sleep(0.25)

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}", timeout=10) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
