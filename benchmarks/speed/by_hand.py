"""A chain of stages as one writes it by hand: a task per stage, a queue per edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

from .chains import Consume
from .feed import END, step


async def queue_chain(source: AsyncIterable[Any], queues: Sequence[Any], consume: Consume) -> Any:
    """Run the stages between queues with ``get`` and ``put``."""

    async def feed() -> None:
        async for number in source:
            await queues[0].put(number)
        await queues[0].put(END)

    async def work(upstream: Any, downstream: Any) -> None:
        while (number := await upstream.get()) is not END:
            await downstream.put(await step(number))
        await downstream.put(END)

    async def results() -> AsyncIterator[Any]:
        while (number := await queues[-1].get()) is not END:
            yield number

    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        for upstream, downstream in pairwise(queues):
            group.create_task(work(upstream, downstream))
        return await consume(results())
