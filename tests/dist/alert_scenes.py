"""For each alert: what is scraped when it must fire, and something near to that when it must not.

A series is written as promtool writes it, one value a minute: `0x10` is eleven zeros, `1+2x5` is 1, 3, … 11,
and `_x9` is nine scrapes in which it was not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["SCENES", "Scene"]

_SUBSCRIPTION: Final = {"subscription": "orders"}
_ROUTE: Final = {"subscription": "orders", "route": "feed"}
_INSTANCE: Final = {"instance": "a"}
_OWN: Final = 'eventbus_lease_held{instance="a", subscription="orders"}'
_OF: Final = 'instance="a", subscription="orders", route="feed"'
_CHECKOUTS: Final = "eventbus_mongodb_checkouts_failed_total"


@dataclass(frozen=True, slots=True)
class Scene:
    """What is scraped of one alert's metrics.

    Args:
        fires: Series by which it fires.
        quiet: Series by which it does not, though something is going on.
        minutes: When one looks.
        quiet_at: When one looks at what is quiet, if that is another time.
        labels: Labels of the alert that fires, but for its name and severity.
    """

    fires: Mapping[str, str]
    quiet: Mapping[str, str]
    minutes: int
    labels: Mapping[str, str] = field(default_factory=dict)
    quiet_at: int | None = None


def _first_count(metric: str, labels: Mapping[str, str], more: str = "", quiet_at: int = 90) -> Scene:
    """A counter whose series begins with its first count, and one that has stood still for long."""
    series = f"{metric}{{{_OF}{more}}}"
    return Scene({series: "_x5 1x20"}, {series: f"3x{quiet_at}"}, 6, labels, quiet_at)


SCENES: Final[Mapping[str, Scene]] = {
    "EventbusAbsent": Scene({}, {'eventbus_build_info{version="1"}': "1x10"}, 6),
    "EventbusNobodyRunsSubscription": Scene(
        {_OWN: "1 1 0x10", _OWN.replace('"a"', '"b"'): "0x12"},
        {_OWN: "1 1 0x10", _OWN.replace('"a"', '"b"'): "0 0 0 0 0 1x10"},
        6,
        _SUBSCRIPTION,
        quiet_at=4,
    ),
    "EventbusSubscriptionRestarts": Scene(
        {'eventbus_subscription_restarts_total{subscription="orders"}': "_x3 1 2 4 4 4 4"},
        {'eventbus_subscription_restarts_total{subscription="orders"}': "_x3 1 2 2 2 2 2"},
        8,
        _SUBSCRIPTION,
    ),
    "EventbusCheckpointsFail": Scene(
        {'eventbus_checkpoints_total{instance="a", result="failed"}': "0+60x10"},
        {
            'eventbus_checkpoints_total{instance="a", result="failed"}': "7x10",
            'eventbus_checkpoints_total{instance="a", result="ok"}': "0+60x10",
        },
        6,
        _INSTANCE,
    ),
    "EventbusCheckpointsSlow": Scene(
        {
            'eventbus_checkpoint_seconds_bucket{instance="a", le="2.5"}': "0+5x40",
            'eventbus_checkpoint_seconds_bucket{instance="a", le="5"}': "0+10x40",
            'eventbus_checkpoint_seconds_bucket{instance="a", le="+Inf"}': "0+10x40",
        },
        {
            'eventbus_checkpoint_seconds_bucket{instance="a", le="2.5"}': "0+10x40",
            'eventbus_checkpoint_seconds_bucket{instance="a", le="+Inf"}': "0+10x40",
        },
        30,
        _INSTANCE,
    ),
    "EventbusHeartbeatFails": Scene(
        {'eventbus_heartbeats_total{instance="a", result="failed"}': "0+6x20"},
        {'eventbus_heartbeats_total{instance="a", result="failed"}': "0 6 6x20"},
        15,
        _INSTANCE,
    ),
    "EventbusReloadRefused": Scene(
        {'eventbus_config_last_reload_successful{instance="a"}': "1 0x10"},
        {'eventbus_config_last_reload_successful{instance="a"}': "1 0 1x10"},
        4,
        _INSTANCE,
    ),
    "EventbusHeadroomLow": Scene(
        {_OWN: "1x20", f"eventbus_headroom_left_seconds{{{_OF}}}": "20000x20"},
        {_OWN: "0x20", f"eventbus_headroom_left_seconds{{{_OF}}}": "20000x20"},
        10,
        _ROUTE,
    ),
    "EventbusHeadroomVeryLow": Scene(
        {_OWN: "1x20", f"eventbus_headroom_left_seconds{{{_OF}}}": "3000x20"},
        {_OWN: "1x20", f"eventbus_headroom_left_seconds{{{_OF}}}": "4000x20"},
        10,
        _ROUTE,
    ),
    "EventbusPositionLost": _first_count("eventbus_position_lost_total", _ROUTE),
    "EventbusGap": _first_count("eventbus_gaps_total", _ROUTE),
    "EventbusStreamBreaksOff": Scene(
        {'eventbus_reader_reopened_total{subscription="orders", reaction="resume"}': "0+1x30"},
        {'eventbus_reader_reopened_total{subscription="orders", reaction="invalidate"}': "0+1x30"},
        20,
        _SUBSCRIPTION,
    ),
    "EventbusConnectionsRunOut": Scene(
        {_CHECKOUTS + '{instance="a", client="stream", reason="timeout"}': "_x5 4x30"},
        {_CHECKOUTS + '{instance="a", client="stream", reason="poolClosed"}': "0+1x30"},
        12,
        {"instance": "a", "client": "stream"},
    ),
    "EventbusStageWaits": Scene(
        {'eventbus_stage_waits_total{subscription="orders", stage="lookup"}': "0+12x30"},
        {'eventbus_stage_waits_total{subscription="orders", stage="lookup"}': "0 12 12x30"},
        10,
        {"subscription": "orders", "stage": "lookup"},
    ),
    "EventbusSinkDown": Scene(
        {_OWN: "1x20", f"eventbus_circuit_state{{{_OF}}}": "0 2 2 1 2 2 1 2 2 2 2"},
        {_OWN: "1x20", f"eventbus_circuit_state{{{_OF}}}": "0 2 2 0 2 2 0 2 2 2 2"},
        8,
        _ROUTE,
    ),
    "EventbusRouteBehind": Scene(
        {_OWN: "1x30", f"eventbus_watermark_timestamp_seconds{{{_OF}}}": "0x30"},
        {_OWN: "1x30", f"eventbus_watermark_timestamp_seconds{{{_OF}}}": "0+60x30"},
        20,
        _ROUTE,
    ),
    "EventbusRoutePausedBySink": _first_count("eventbus_route_paused_by_sink_total", _ROUTE),
    "EventbusTargetLostPosition": _first_count(
        "eventbus_takeovers_total", {**_ROUTE, "found": "lost"}, ', found="lost"', quiet_at=1500
    ),
    "EventbusDeadLetters": _first_count("eventbus_dead_letters_total", _ROUTE, ', kind="rejected"'),
    "EventbusDeadLettersNotStored": Scene(
        {f"eventbus_dead_letter_write_failures_total{{{_OF}}}": "0+6x20"},
        {f"eventbus_dead_letter_write_failures_total{{{_OF}}}": "0 6 6x20"},
        9,
        _ROUTE,
    ),
    "EventbusDeadLettersDropped": Scene(
        {'eventbus_dead_letters_dropped_total{instance="a"}': "0 0 5x20"},
        {'eventbus_dead_letters_dropped_total{instance="a"}': "5x20"},
        9,
        _INSTANCE,
    ),
    "EventbusDeadLettersNotCopied": Scene(
        {f'eventbus_dead_letter_forwarding_failures_total{{{_OF}, kind="network"}}': "0+6x20"},
        {f'eventbus_dead_letter_forwarding_failures_total{{{_OF}, kind="network"}}': "0 6 6x20"},
        15,
        _ROUTE,
    ),
    "EventbusChangeTooLarge": Scene(
        {'eventbus_reader_reopened_total{subscription="orders", reaction="oversize"}': "_x5 1x20"},
        {'eventbus_reader_reopened_total{subscription="orders", reaction="resume"}': "_x5 1x20"},
        6,
        _SUBSCRIPTION,
    ),
}
