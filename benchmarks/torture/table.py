"""The table as text, as Markdown, and as data."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from typing import Any, Final

from .case import ENDLESS, SLOW_SINK, WITH_PROCESSES
from .cells import Cell
from .environments import OURS, PINNED
from .oracle import MOST_AHEAD
from .parent import Patience

LEGEND: Final = """\
- ok: right in every respect; hung: no end within {deadline:g} s; died: the process ended in the run; lost: an
  item is missing or came twice; swallowed: a stage raised, or Ctrl-C came, and the consumer did not see it;
  raised: another exception than was due, or one where none was; unbounded: over {ahead} of {source} items
  pulled ahead of a consumer that stands still; leaked: {grace:g} s after the run a thread, process, task or
  unclosed source is left. A run may have several of these. After {most_hung} hung runs a cell is left as it
  is.
- aiostream and streamz have no stages in threads or processes: theirs are coroutines that await
  `asyncio.to_thread` and a `ProcessPoolExecutor`; a process or a feeder thread left there is the pool's.
- streamz has no consumer that pulls: it is fed with `emit`, and its sink is the consumer. What a stage
  raises, it logs.
- pypeln has a `maxsize` only where something has to be bounded, in the slow sink; elsewhere its edges have no
  bound, as in its documentation. Each mixed run leaves it a thread with an event loop, and that loop's
  executor.
- Ours: {ours:,} runs, {processes:,} of them with worker processes; half are `stream()`, half `iterate()`.
- {machine}
  `{command}`
"""


def markdown(cells: Sequence[Cell]) -> str:
    """Rows are flows, columns packages."""
    flows = list(dict.fromkeys(cell.flow for cell in cells))
    packages = list(dict.fromkeys(cell.package.name for cell in cells))
    told = {(cell.flow, cell.package.name): str(cell) for cell in cells}
    rows = [
        ["", *(f"{name} {PINNED[name]}" if name in PINNED else name for name in packages)],
        ["---"] * (len(packages) + 1),
        *([flow, *(told.get((flow, name), "") for name in packages)] for flow in flows),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def legend(cells: Sequence[Cell], patience: Patience, command: str) -> str:
    """What stands under the table."""
    ours = [cell for cell in cells if cell.package.name == OURS]
    return LEGEND.format(
        deadline=patience.deadline,
        grace=patience.grace,
        ahead=MOST_AHEAD,
        source=f"{ENDLESS[SLOW_SINK]:,}",
        most_hung=max((cell.most_hung for cell in cells), default=0),
        ours=sum(cell.runs for cell in ours),
        processes=sum(cell.runs for cell in ours if cell.flow in WITH_PROCESSES),
        machine=machine(),
        command=command,
    )


def machine() -> str:
    """Date, interpreter and machine."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return (
        f"{today}, {platform.python_implementation()} {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores."
    )


def data(cells: Sequence[Cell], command: str) -> dict[str, Any]:
    """All that is known, with what was wrong with each run by its number."""
    return {
        "command": command,
        "machine": machine(),
        "cells": [
            {
                "package": cell.package.name,
                "version": PINNED.get(cell.package.name),
                "flow": cell.flow,
                "runs": cell.runs,
                "ok": cell.right,
                **cell.words,
                "details": cell.details,
            }
            for cell in cells
        ],
    }
