"""Our own flow: half of the runs with ``stream()``, half with ``iterate()`` from synchronous code."""

from __future__ import annotations

from asyncdataflow import DataFlow, stage

from ..case import Case
from ..items import in_process
from ..leaks import run_watched

BUFFER = 10


def run(case: Case, grace: float) -> None:
    """Run the flow over a case."""
    steps = [
        case.numbers,
        stage(case.on_loop, concurrency=case.concurrency, buffer=BUFFER),
        stage(case.in_thread, concurrency=case.concurrency, buffer=BUFFER),
    ]
    if case.with_processes:
        steps.append(stage(in_process, executor="process", buffer=BUFFER))
    flow = DataFlow(steps)
    if case.synchronously:
        with flow.iterate(buffer=BUFFER) as results:
            for item in results:
                if case.take(item):
                    break
        return

    async def main() -> None:
        async with flow.stream(buffer=BUFFER) as run:
            async for item in run:
                if await case.take_async(item):
                    break

    run_watched(case, main, grace)
