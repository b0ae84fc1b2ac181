"""A line for each stage of a run, drawn from ``run.stats()`` while it works."""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asyncdataflow import Run

RICH = importlib.util.find_spec("rich") is not None


@asynccontextmanager
async def progress(run: Run[Any]) -> AsyncIterator[None]:
    """Until the block ends, show how far each stage is: in place on a terminal, else line by line."""
    task = asyncio.create_task(_live(run) if RICH and sys.stdout.isatty() else _plain(run))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _live(run: Run[Any]) -> None:
    from rich.live import Live  # noqa: PLC0415 - it may not be installed

    with Live(auto_refresh=False) as live:
        try:
            while True:
                live.update(_table(run), refresh=True)
                await asyncio.sleep(0.1)
        finally:
            live.update(_table(run), refresh=True)


async def _plain(run: Run[Any]) -> None:
    try:
        while True:
            await asyncio.sleep(1)
            print(_line(run), flush=True)
    finally:
        print(_line(run), flush=True)


def _line(run: Run[Any]) -> str:
    stats = run.stats()
    figures = [f"{name} {each.received} ({each.queued} waiting)" for name, each in stats.stages.items()]
    return f"{stats.elapsed:5.1f} s  {'  '.join(figures)}"


def _table(run: Run[Any]) -> Any:
    from rich.table import Table  # noqa: PLC0415 - as above

    stats = run.stats()
    table = Table(
        "stage", "taken", "at work", "waiting", "the edge before it", title=f"{stats.elapsed:.1f} s"
    )
    for name, each in stats.stages.items():
        full = "█" * round(20 * each.queued / max(each.capacity, 1))
        table.add_row(name, str(each.received), str(each.in_flight), str(each.queued), f"{full:20}")
    return table
