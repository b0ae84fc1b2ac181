"""A seed is an order of steps: always the same one, and together they are all there are."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from asyncdataflow.errors import LivelockError
from asyncdataflow.testing.seeded_loop import SeededLoop, quiet, run_seeded


async def order_of_three():
    seen = []

    async def member(name):
        await asyncio.sleep(0)
        seen.append(name)

    await asyncio.gather(*map(member, "abc"))
    return "".join(seen)


def test_a_seed_is_always_the_same_order():
    assert [run_seeded(seed, order_of_three()) for seed in range(30)] == [
        run_seeded(seed, order_of_three()) for seed in range(30)
    ]


def test_the_seeds_are_all_the_orders_there_are():
    seen = {run_seeded(seed, order_of_three()) for seed in range(200)}
    assert seen == {"".join(each) for each in itertools.permutations("abc")}


def test_plain_callbacks_keep_their_order():
    async def main():
        seen = []
        for n in range(10):
            asyncio.get_running_loop().call_soon(seen.append, n)
        await quiet()
        return seen

    for seed in range(20):
        assert run_seeded(seed, main()) == list(range(10))


def test_a_hook_comes_between_two_steps():
    loop = SeededLoop(3)
    at = []
    loop.hooks[2] = lambda: at.append(loop.steps)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(order_of_three())
    assert at == [2]


@pytest.mark.leaks("tasks", reason="a task that never ends is the point")
@pytest.mark.parametrize("seconds", [0, 0.1], ids=["without time", "in time"])
def test_what_runs_in_circles_is_a_livelock(seconds):
    async def circle():
        while True:
            await asyncio.sleep(seconds)

    with (
        pytest.raises(LivelockError, match=r"1000 turns(.|\n)*no end(.|\n)*circle \(test_seeded_loop.py"),
        asyncio.Runner(loop_factory=lambda: SeededLoop(0, most_turns=1000)) as runner,
    ):
        runner.run(circle())


@pytest.mark.leaks("tasks", reason="the loop ends around it")
def test_an_error_ends_the_loop():
    async def main():
        asyncio.get_running_loop().fail(LookupError("found"))
        await asyncio.sleep(1)

    with pytest.raises(LookupError, match="found"):
        run_seeded(0, main())


def test_which_became_ready_first_makes_no_difference():
    """A TaskGroup cancels its tasks in the order of a set, by their addresses."""

    async def main(order):
        seen = []

        async def member(name):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                seen.append(name)
                raise

        tasks = [asyncio.create_task(member(name)) for name in "abcd"]
        await asyncio.sleep(1)
        for n in order:
            tasks[n].cancel()
        await asyncio.wait(tasks)
        return "".join(seen)

    for seed in range(20):
        assert len({run_seeded(seed, main(order)) for order in itertools.permutations(range(4))}) == 1
    assert len({run_seeded(seed, main(range(4))) for seed in range(200)}) == 24


def test_a_method_of_a_task_is_a_callback_like_any_other():
    async def main():
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(asyncio.sleep(1)) for _ in range(3)]
        loop.call_soon(tasks[0].cancel)
        loop.call_soon(tasks[1].cancel).cancel()
        await asyncio.wait(tasks)
        return [task.cancelled() for task in tasks]

    for seed in range(20):
        assert run_seeded(seed, main()) == [True, False, False]
