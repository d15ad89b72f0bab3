"""Prometheus' own tool takes the rules, and each alert fires when it must and only then."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventbus.devservices.tools import tool
from tests.dist.alert_scenes import SCENES
from tests.dist.monitoring import ALERTS, RULES, expressions

pytestmark = pytest.mark.dist


def _promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = tool("promtool")
    return subprocess.run([*program.argv, *words], capture_output=True, text=True, check=False)


def test_the_rules_are_rules() -> None:
    """Their syntax, their templates, no two alike."""
    done = _promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_panels_expressions_are_expressions(tmp_path: Path) -> None:
    """Each as a rule of its own, since that is what the tool checks."""
    rules = [{"record": f"r{i}", "expr": expression.text} for i, expression in enumerate(expressions())]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = _promtool("check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_scene() -> None:
    """In the order of the file."""
    assert list(SCENES) == list(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_it_fires_when_it_must_and_only_then(name: str, tmp_path: Path) -> None:
    """Two scenes: in the second one something happens as well, and nobody is woken."""
    scene = SCENES[name]
    firing = {"alertname": name, "alertstate": "firing", "severity": ALERTS[name]["labels"]["severity"]}
    text = "{" + ", ".join(f'{k}="{v}"' for k, v in {**firing, **scene.labels}.items()) + "}"
    tests = [
        _test(name, scene.fires, scene.minutes, [{"labels": f"ALERTS{text}", "value": 1}]),
        _test(name, scene.quiet, scene.quiet_at or scene.minutes, []),
    ]
    file = tmp_path / "scenes.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = _promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def _test(
    name: str, series: Mapping[str, str], minutes: int, expected: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'ALERTS{{alertname="{name}", alertstate="firing"}}',
                "eval_time": f"{minutes}m",
                "exp_samples": expected,
            }
        ],
    }
