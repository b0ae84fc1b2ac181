"""Invariant 65: workers are killed at random while items flow; each item still comes, once and in order."""

from __future__ import annotations

import asyncio
import random

import psutil
import pytest

from asyncdataflow import DataFlow, stage
from asyncdataflow.errors import WorkerLostError
from tests import process_functions as there

pytestmark = pytest.mark.usefixtures("light_processes")


async def play(rng, items, kills, concurrency, ordered):
    """Kill one of the workers each time so many results have come; never two for one item's sake.

    The item that a worker is killed with is sent again; killed with the same item again, it
    would rightly fail. So as many results as can be in flight have to come between two kills.
    """
    flow = DataFlow(
        (
            range(items),
            stage(there.slowly_with_pid, executor="process", concurrency=concurrency, ordered=ordered),
        )
    )
    seen, pids, killed, quiet_until = [], set(), 0, 0
    async with flow.stream(buffer=1) as run:
        async for item, pid in run:
            seen.append(item)
            pids.add(pid)
            if killed < kills and len(seen) >= quiet_until:
                alive = [each for each in psutil.Process().children() if each.pid in pids]
                if alive:
                    rng.choice(alive).kill()
                    killed += 1
                    quiet_until = len(seen) + 4 * concurrency + rng.randint(0, 8)
    return seen, killed


async def soak(seed, items, kills):
    rng = random.Random(seed)
    for concurrency, ordered in ((2, True), (3, False)):
        seen, killed = await play(rng, items, kills, concurrency, ordered)
        assert killed == kills
        assert sorted(seen) == list(range(items)), "an item was lost, or came twice"
        assert not ordered or seen == list(range(items))


async def test_killed_now_and_then_every_item_comes_once():
    await soak(seed=1, items=120, kills=3)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(3))
async def test_killed_often_every_item_comes_once(seed):
    await soak(seed=seed, items=1500, kills=50)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_at_any_moment_the_run_ends_and_every_failure_is_told():
    """Without mercy, also while they are being started: an item may be lost to two, none in silence."""
    rng = random.Random(5)
    flow = DataFlow(
        (range(6000), stage(there.slowly_with_pid, executor="process", concurrency=3, on_error="skip"))
    )
    stop = asyncio.Event()

    async def killer():
        while not stop.is_set():
            workers = [
                each for each in psutil.Process().children() if "spawn_main" in " ".join(_cmdline(each))
            ]
            if workers:
                rng.choice(workers).kill()
            await asyncio.sleep(rng.random())

    killing, seen, lost = asyncio.create_task(killer()), [], None
    try:
        async with flow.stream() as run:
            async for item, _ in run:
                seen.append(item)
            assert len(seen) + run.stats().stages["slowly_with_pid"].skipped == 6000
    except WorkerLostError as error:
        lost = error
    finally:
        stop.set()
        await killing
    # Two in a row while they were being started: that is no item's fault, and ends the run.
    assert lost is None or "while starting" in str(lost)
    assert seen == sorted(set(seen))


def _cmdline(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []
