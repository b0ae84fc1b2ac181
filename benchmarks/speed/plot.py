"""Plots: one SVG for each workload that was measured, drawn from the data that ``--json`` keeps.

    PYTHONPATH=benchmarks python -m speed.plot seen.json benchmarks/plots

A bar is a contestant's figure on a logarithmic scale, as a multiple of the limit's where there is one. The
shortest is the best, and stands at the top; what grows with a size stays in the order of the sizes.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from .workload import LIMIT, OURS, UNITS, Unit

WIDTH: Final = 820
LEFT: Final = 190
"""Where the bars begin."""

RIGHT: Final = 150
"""What is kept for the figures behind the bars."""

TOP: Final = 74
ROW: Final = 26
BAR: Final = 16
FOOT: Final = 48

STYLE: Final = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #57606a; }
.title { font-size: 15px; font-weight: 600; fill: #24292f; }
.small { font-size: 11px; }
.ours-text { font-weight: 700; fill: #0a6ebd; }
.bar { fill: #afb8c1; } .hand { fill: #8c959f; } .limit { fill: #57606a; } .ours { fill: #1f8fe0; }
.other { fill: #d0d7de; }
.grid { stroke: #8c959f; stroke-opacity: .25; } .one { stroke: #57606a; }
.floor { stroke: #cf5f00; stroke-dasharray: 5 3; } .floor-text { fill: #b35900; font-size: 11px; }
@media (prefers-color-scheme: dark) {
  text { fill: #9da7b3; } .title { fill: #e6edf3; } .ours-text { fill: #6cb6ff; }
  .bar { fill: #5b6570; } .hand { fill: #7d8590; } .limit { fill: #b1bac4; } .other { fill: #3d444d; }
  .one { stroke: #b1bac4; } .floor { stroke: #f0883e; } .floor-text { fill: #f0883e; }
}"""
"""Readable on a light page and on a dark one; nothing is painted behind."""

LARGE_UNITS: Final = (("s", 1.0), ("ms", 1e3))

CLASSES: Final = {"limit": "limit", "by hand": "hand", "ours": "ours", "peer": "bar", "other peer": "other"}


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis over whole decades."""

    low: int
    high: int

    @classmethod
    def over(cls, values: Sequence[float]) -> Scale:
        """An axis that has room for all of them, the smallest not at its very beginning."""
        low = math.floor(math.log10(min(values) / 1.5))
        return cls(low, max(low + 1, math.ceil(math.log10(max(values)))))

    def __call__(self, value: float) -> float:
        """Where a value lies, from the left."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    @property
    def decades(self) -> Iterator[float]:
        """What the grid shows."""
        return (10.0**power for power in range(self.low, self.high + 1))


@dataclass(frozen=True)
class Bar:
    """A contestant: its value on the axis, and its own figure in words."""

    name: str
    role: str
    value: float
    figure: str


def svg(workload: Mapping[str, Any]) -> str:
    """The drawing of a workload; empty where nothing of it was measured."""
    unit = UNITS[workload["ranks"]]
    base = base_of(workload)
    bars = bars_of(workload, unit, base)
    if not bars:
        return ""
    wanted = wanted_of(workload, base)
    scale = Scale.over([*(each.value for each in bars), *([wanted] if wanted else [])])
    height = TOP + len(bars) * ROW + FOOT
    axis = f"{unit.head}, as a multiple of the limit" if base else unit.head
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(workload["workload"])}">',
        f"<style>{STYLE}</style>",
        *_head(workload),
        *_grid(scale, height, base=base),
        *(_bar(bar, TOP + row * ROW, scale) for row, bar in enumerate(bars)),
        *(_wanted(wanted, scale, height) if wanted else ()),
        *(line for row, bar in enumerate(bars) for line in _words(bar, TOP + row * ROW, scale, base=base)),
        f'<text class="small" x="{LEFT}" y="{height - 10}">{escape(axis)}; less is better</text>',
        *_legend({each.role for each in bars}, height),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def base_of(workload: Mapping[str, Any]) -> float | None:
    """What the bars are multiples of: the limit's figure."""
    found = [each["median"] for each in workload["contestants"] if each["name"] == LIMIT]
    return found[0] if found and found[0] else None


def bars_of(workload: Mapping[str, Any], unit: Unit, base: float | None) -> list[Bar]:
    """One for each contestant that was measured, the best first; where all are ours, in their own order."""
    one = base or 1 / unit.scale
    bars = [
        Bar(each["name"], each["role"], each["median"] / one, figure_of(each["median"], unit))
        for each in workload["contestants"]
        if each["median"]
    ]
    if all(each.role == "ours" for each in bars):
        return bars
    return sorted(bars, key=lambda bar: bar.value)


def wanted_of(workload: Mapping[str, Any], base: float | None) -> float | None:
    """Where ours must be: the hardest floor of the measure that is drawn."""
    unit = UNITS[workload["ranks"]]
    medians = {each["name"]: each["median"] for each in workload["contestants"] if each["median"]}
    floors = [each for each in workload["floors"] if each["measure"] == workload["ranks"]]
    most = [
        medians[each["against"]] / each["least"] if each["against"] else each["least"]
        for each in floors
        if not each["against"] or each["against"] in medians
    ]
    return min(most) / (base or 1 / unit.scale) if most else None


def _legend(roles: Collection[str], height: int) -> Iterator[str]:
    shown = [each for each in ("by hand", "peer", "other peer") if each in roles]
    for place, role in enumerate(reversed(shown)):
        x = WIDTH - 90 - 80 * place
        yield f'<rect class="{CLASSES[role]}" x="{x}" y="{height - 19}" width="10" height="10" rx="2"/>'
        yield f'<text class="small" x="{x + 15}" y="{height - 10}">{role}</text>'


def _head(workload: Mapping[str, Any]) -> Iterator[str]:
    yield f'<text class="title" x="12" y="24">{escape(workload["workload"])}</text>'
    yield f'<text class="small" x="12" y="43">{escape(workload["what"])}</text>'


def _grid(scale: Scale, height: int, *, base: float | None) -> Iterator[str]:
    bottom = height - FOOT + 4
    for value in scale.decades:
        x = f"{scale(value):.1f}"
        kind = "one" if base and value == 1 else "grid"
        yield f'<line class="{kind}" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{bottom}"/>'
        told = short(value) + ("×" if base else "")
        yield f'<text class="small" x="{x}" y="{bottom + 15}" text-anchor="middle">{told}</text>'


def _bar(bar: Bar, y: int, scale: Scale) -> str:
    long = max(1.0, scale(bar.value) - LEFT)
    place = f'x="{LEFT}" y="{y}" width="{long:.1f}" height="{BAR}" rx="2"'
    return f'<rect class="{CLASSES[bar.role]}" {place}/>'


def _words(bar: Bar, y: int, scale: Scale, *, base: float | None) -> Iterator[str]:
    middle = y + BAR - 3
    bold = ' class="ours-text"' if bar.role == "ours" else ""
    told = f"{short(bar.value)}× · {bar.figure}" if base and bar.name != LIMIT else bar.figure
    shown = "asyncdataflow" if bar.name == OURS else bar.name.replace("_", " ")
    yield f'<text{bold} x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(shown)}</text>'
    yield f'<text{bold} x="{scale(bar.value) + 8:.1f}" y="{middle}">{escape(told)}</text>'


def short(value: float) -> str:
    """A number as one reads it: three digits, and no exponent."""
    for least, letter in ((1e6, "M"), (1e4, "k")):
        if value >= least:
            return f"{value / least if letter == 'M' else value / 1e3:.3g}{letter}"
    return f"{float(f'{value:.3g}'):,.10g}"


def figure_of(measured: float, unit: Unit) -> str:
    """A figure with the unit that suits it."""
    if unit.symbol == "MB":
        return f"{measured * unit.scale:.2f} MB"
    symbol, scale = next((each for each in LARGE_UNITS if measured * each[1] >= 1), (unit.symbol, unit.scale))
    return f"{measured * scale:.3g} {symbol}"


def _wanted(wanted: float, scale: Scale, height: int) -> Iterator[str]:
    x = f"{scale(wanted):.1f}"
    yield f'<line class="floor" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{height - FOOT + 4}"/>'
    yield f'<text class="floor-text" x="{x}" y="{TOP - 11}" text-anchor="middle">must reach</text>'


def write(seen: Sequence[Mapping[str, Any]], place: Path) -> list[Path]:
    """Draw all workloads into a folder, which is made where it is not there.

    Args:
        seen: What ``--json`` keeps under ``workloads``.
        place: The folder.
    """
    place.mkdir(parents=True, exist_ok=True)
    written = []
    for workload in seen:
        drawn = svg(workload)
        if drawn:
            path = place / f"{workload['workload'].lower()}.svg"
            path.write_text(drawn, encoding="utf-8")
            written.append(path)
    return written


def main() -> None:
    """Draw what was measured before."""
    parser = argparse.ArgumentParser(prog="python -m speed.plot", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seen", type=Path, help="a file that --json has written")
    parser.add_argument("place", type=Path, help="a folder for the drawings")
    asked = parser.parse_args()
    for path in write(json.loads(asked.seen.read_text(encoding="utf-8"))["workloads"], asked.place):
        print(path)


if __name__ == "__main__":
    main()
