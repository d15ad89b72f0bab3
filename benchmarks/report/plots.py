"""Bars, as SVG: a picture that is text, so that it is the same wherever it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

__all__ = ["COLOURS", "Bar", "bars"]

COLOURS: Final = {"eventbus": "#2f6fb3", "loop": "#9aa5b1", "Debezium": "#d2802b"}
_FONT: Final = 'font-family="Helvetica, Arial, sans-serif" font-size="13"'
_WIDTH: Final = 900
_LABELS: Final = 370
_VALUES: Final = 90
_ROW: Final = 26
_TOP: Final = 64


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Args:
        label: What stands to its left.
        value: How long it is.
        whose: A key of `COLOURS`.
    """

    label: str
    value: float
    whose: str


def bars(title: str, rows: Sequence[Bar]) -> str:
    """A picture of horizontal bars, the longest as long as there is room."""
    longest = max(row.value for row in rows)
    height = _TOP + _ROW * len(rows) + 12
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="12" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
        *_legend([whose for whose in COLOURS if any(row.whose == whose for row in rows)]),
    ]
    for place, row in enumerate(rows):
        drawn += _bar(_TOP + place * _ROW, row, longest)
    return "\n".join([*drawn, "</svg>", ""])


def _legend(names: Sequence[str]) -> list[str]:
    drawn = []
    for place, name in enumerate(names):
        x = 12 + 110 * place
        drawn.append(f'<rect x="{x}" y="36" width="12" height="12" fill="{COLOURS[name]}"/>')
        drawn.append(f'<text x="{x + 18}" y="47">{escape(name)}</text>')
    return drawn


def _bar(top: int, row: Bar, longest: float) -> list[str]:
    room = _WIDTH - _LABELS - _VALUES
    width = max(1.0, room * row.value / longest) if longest else 1.0
    shown = f"{row.value:,.0f}" if row.value >= 100 else f"{row.value:,.1f}"
    return [
        f'<text x="{_LABELS - 8}" y="{top + 15}" text-anchor="end">{escape(row.label)}</text>',
        f'<rect x="{_LABELS}" y="{top + 2}" width="{width:.1f}" height="18" fill="{COLOURS[row.whose]}"/>',
        f'<text x="{_LABELS + width + 6:.1f}" y="{top + 15}">{shown}</text>',
    ]
