"""A chain of stages in each peer that runs on the consumer's loop: any source, any trivial function."""

# What a peer needs is imported where it runs: only its own environment has it.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from .feed import EDGE, END, STAGES, numbers

Work = Callable[[Any], Any]
"""A stage: a plain function, or a coroutine function where the chain says so."""

Consume = Callable[[AsyncIterable[Any]], Awaitable[Any]]
"""What takes the results, and makes what the contestant gives."""


async def everything(results: AsyncIterable[Any]) -> list[Any]:
    """A consumer that keeps all results."""
    return [each async for each in results]


def over_numbers(peer: Callable[..., Awaitable[Any]], work: Work, **options: Any) -> Callable[[int], Any]:
    """A contestant's way to run a chain: over so many numbers, all results kept."""

    async def run(items: int) -> Any:
        return await peer(numbers(items), work, everything, **options)

    return run


async def aiostream(source: AsyncIterable[Any], step: Work, consume: Consume, stages: int = STAGES) -> Any:
    """``map``, with a task limit."""
    from aiostream import pipe, stream

    async def each_step(item: Any, *_: Any) -> Any:
        return await step(item)

    # Typed for functions of any number of streams, which does not infer one.
    mapped: Any = pipe.map
    results: Any = stream.iterate(source)
    for _ in range(stages):
        results = results | mapped(each_step, task_limit=1)
    async with results.stream() as streamer:
        return await consume(streamer)


async def aiostream_plain(
    source: AsyncIterable[Any], plain: Work, consume: Consume, stages: int = STAGES
) -> Any:
    """``map`` of plain functions."""
    from aiostream import pipe, stream

    mapped: Any = pipe.map
    results: Any = stream.iterate(source)
    for _ in range(stages):
        results = results | mapped(lambda item, *_: plain(item))
    async with results.stream() as streamer:
        return await consume(streamer)


async def streamable(
    source: AsyncIterable[Any], step: Work, consume: Consume, stages: int = STAGES, edge: int = 0
) -> Any:
    """``map`` in one chain; with an edge, a buffer behind each, which makes it a task."""
    from streamable import stream  # type: ignore[import-not-found]

    results = stream(source)
    for _ in range(stages):
        results = results.map(step)
        if edge:
            results = results.buffer(edge)
    return await consume(results)


async def pypeln(source: AsyncIterable[Any], step: Work, consume: Consume, stages: int = STAGES) -> Any:
    """Task stages."""
    import pypeln as pl  # type: ignore[import-not-found]

    results: Any = source
    for _ in range(stages):
        results = pl.task.map(step, results, workers=1, maxsize=EDGE)
    async with aclosing(aiter(results)) as iterator:
        return await consume(iterator)


async def anyio(source: AsyncIterable[Any], step: Work, consume: Consume, stages: int = STAGES) -> Any:
    """A task per stage, a memory object stream per edge."""
    from anyio import create_memory_object_stream, create_task_group

    async def feed(downstream: Any) -> None:
        async with downstream:
            async for item in source:
                await downstream.send(item)

    async def work(upstream: Any, downstream: Any) -> None:
        async with upstream, downstream:
            async for item in upstream:
                await downstream.send(await step(item))

    async with create_task_group() as group:
        into, out = create_memory_object_stream(EDGE)
        group.start_soon(feed, into)
        for _ in range(stages):
            into, behind = create_memory_object_stream(EDGE)
            group.start_soon(work, out, into)
            out = behind
        async with out:
            return await consume(out)


async def aioreactive(source: AsyncIterable[Any], step: Work, consume: Consume, stages: int = STAGES) -> Any:
    """``map_async`` operators, each awaited by the one before it."""
    from aioreactive import AsyncIteratorObserver, from_async_iterable, map_async  # type: ignore[import-not-found]

    results = from_async_iterable(source)
    for _ in range(stages):
        results = map_async(step)(results)
    return await consume(AsyncIteratorObserver(results))


async def streamz(
    source: AsyncIterable[Any], step: Work, consume: Consume, stages: int = STAGES, node: str = "map_async"
) -> Any:
    """Nodes into which the items are emitted; a queue is their sink, and holds the emitter back."""
    from streamz import Stream  # type: ignore[import-not-found]

    arriving = Arriving(EDGE)
    begin = last = Stream(asynchronous=True)
    for _ in range(stages):
        last = getattr(last, node)(step)
    last.sink(arriving.put)
    return await arriving.run(source, begin.emit, consume)


async def reactivex(source: AsyncIterable[Any], step: Work, consume: Consume, stages: int = STAGES) -> Any:
    """Observables of a task for each item, one at a time; nothing holds the source back."""
    from reactivex import from_future, operators  # type: ignore[import-not-found]
    from reactivex.subject import Subject  # type: ignore[import-not-found]

    loop = asyncio.get_running_loop()
    arriving = Arriving()
    begin = last = Subject()
    for _ in range(stages):
        last = last.pipe(
            operators.map(lambda item: from_future(loop.create_task(step(item)))),
            operators.merge(max_concurrent=1),
        )
    last.subscribe(on_next=arriving.put_nowait)

    async def emit(item: Any) -> None:
        begin.on_next(item)

    return await arriving.run(source, emit, consume)


class Arriving:
    """The end of a stream that is pushed: a sink that a consumer takes from."""

    def __init__(self, edge: int = 0) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue(edge)
        self._arrived = 0
        self._sent = -1

    async def put(self, item: Any) -> None:
        """A sink that waits where the queue is full."""
        await self._queue.put(item)
        self._arrived += 1
        if self._arrived == self._sent:
            await self._queue.put(END)

    def put_nowait(self, item: Any) -> None:
        """A sink of a stream that cannot wait; the queue has no bound then."""
        self._queue.put_nowait(item)
        self._arrived += 1
        if self._arrived == self._sent:
            self._queue.put_nowait(END)

    async def run(
        self,
        source: AsyncIterable[Any],
        emit: Callable[[Any], Awaitable[Any]],
        consume: Consume,
        many: int = 1,
    ) -> Any:
        """Emit all items, each of which makes so many results, and have these consumed beside."""

        async def feed() -> None:
            sent = 0
            async for item in source:
                await emit(item)
                sent += many
            self._sent = sent
            if self._arrived == sent:
                await self._queue.put(END)

        async def results() -> AsyncIterator[Any]:
            while (item := await self._queue.get()) is not END:
                yield item

        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            return await consume(results())
