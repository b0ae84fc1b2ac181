"""A run as a publisher: demand, signals, one end, cancelling.

Each of these returns what it saw of a broken rule.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress
from typing import Any

from ...dataflow import DataFlow
from ...engine import LiveRun
from ...errors import BusyRunError
from ...naming import describe_error
from ...stage import stage
from .feeding import Feeding, Trial, asking, turns
from .trial import Watch

__all__ = (
    "begins_when_entered",
    "closes_again",
    "closes_from_anywhere",
    "ends_once",
    "ends_when_its_items_end",
    "gives_nothing_when_closed",
    "gives_one_at_a_time",
    "is_cancelled",
    "leaves_nothing",
    "lets_go",
    "names_the_stage",
    "passes_errors_of_the_block",
    "pulls_on_demand",
    "raises_what_failed",
    "raises_when_all_is_closed",
    "signals_after_results",
    "stops_its_source",
)


async def _plus_one(number: int) -> int:
    return number + 1


async def _until_three(number: int) -> int:
    if number == 3:
        raise LookupError("three")
    return number


def _flow() -> DataFlow[Any, Any]:
    return DataFlow(stage(_plus_one, buffer=2), fuse=False)


def _failing() -> DataFlow[Any, Any]:
    return DataFlow(stage(_until_three, buffer=2), fuse=False)


async def _failed(run: LiveRun[Any]) -> tuple[list[Any], Exception | None]:
    """The results before what failed, and that."""
    results = []
    try:
        async for result in run:
            results.append(result)
    except Exception as error:  # noqa: BLE001 - looked at by whoever asked
        return results, error
    return results, None


async def pulls_on_demand(trial: Trial) -> str | None:
    """A consumer takes nothing, then some."""
    feed, flow = Feeding(), _flow()
    bound = flow.bound(2, items=True)
    async with trial.stream(flow, feed) as run:
        for taken in (0, 5):
            for _ in range(taken):
                await anext(run)
            if await feed.is_pulled_beyond(bound + taken, trial.settle):
                return f"{taken} results were taken, bound() is {bound}, and {feed.pulled} items were pulled"
    return None


async def gives_one_at_a_time(trial: Trial) -> str | None:
    """Two tasks ask at once."""
    feed = Feeding(limit=2, stalls_at=0)
    async with trial.stream(_flow(), feed) as run:
        first = asking(run)
        await turns()
        second = asking(run)
        if not await trial.is_done(second):
            return "a second __anext__ waited beside a first"
        if not isinstance(second.exception(), BusyRunError):
            return f"a second __anext__ beside one that waits saw {second.exception()!r}, not BusyRunError"
        feed.go_on()
        result = await first
        return None if result == 1 else f"the one that waited got {result!r}, not 1"


async def raises_what_failed(trial: Trial) -> str | None:
    """A stage raises."""
    async with trial.stream(_failing(), Feeding(limit=9)) as run:
        _, error = await _failed(run)
    with suppress(LookupError):
        await _failing().run(items=range(9), engine=trial.engine)
        return "run() of a flow whose stage raises came to a result"
    return _unlike(error) or (None if run.state == "failed" else f"afterwards its state is {run.state!r}")


def _unlike(error: Exception | None) -> str | None:
    if error is None:
        return "a stage raised, and the run ended as if it had not"
    if type(error) is LookupError and error.args == ("three",):
        return None
    return f"a stage raised LookupError('three'), and {describe_error(error)} came out"


async def names_the_stage(trial: Trial) -> str | None:
    """A stage raises."""
    async with trial.stream(_failing(), Feeding(limit=9)) as run:
        _, error = await _failed(run)
    notes = "; ".join(getattr(error, "__notes__", ()))
    if "_until_three" not in notes or "definition" not in notes:
        return f"its notes are {notes!r}: they do not name the stage and its place"
    return None if run.failures[:1] == [error] else f"the run's failures are {run.failures!r}"


async def raises_when_all_is_closed(trial: Trial) -> str | None:
    """A stage raises before a source that would go on."""
    feed = Feeding()
    async with trial.stream(_failing(), feed) as run:
        await _failed(run)
        if feed.closed < feed.begun:
            return "the error came out while the source was still open"
    return None


async def signals_after_results(trial: Trial) -> str | None:
    """A stage raises behind results."""
    async with trial.stream(_failing(), Feeding(limit=9), 9) as run:
        results, _ = await _failed(run)
    return None if results == [0, 1, 2] else f"0, 1 and 2 lay ready before an error, and {results} came"


async def ends_when_its_items_end(trial: Trial) -> str | None:
    """The items end."""
    async with trial.stream(_flow(), Feeding(limit=9)) as run:
        results = [result async for result in run]
        await run.wait()
        if results != list(range(1, 10)):
            return f"1 to 9 were to come, and {results} came"
        return None if run.state == "ended" else f"afterwards its state is {run.state!r}"


async def ends_once(trial: Trial) -> str | None:
    """It is asked again after the end, after a failure, and when it was closed."""
    for flow, how in ((_flow(), "the end"), (_failing(), "an error")):
        async with trial.stream(flow, Feeding(limit=9)) as run:
            await _failed(run)
            seen = await _goes_on(run, how)
            if seen:
                return seen
    return None


async def _goes_on(run: LiveRun[Any], after: str) -> str | None:
    for _ in range(3):
        try:
            result = await anext(run)
        except StopAsyncIteration:
            continue
        except Exception as error:  # noqa: BLE001 - told
            return f"after {after}, __anext__ raised {describe_error(error)}"
        return f"after {after}, __anext__ gave {result!r}"
    return None


async def gives_nothing_when_closed(trial: Trial) -> str | None:
    """It is closed, and asked."""
    run = trial.stream(_flow(), Feeding())
    async with run:
        await anext(run)
        await run.aclose()
        return await _goes_on(run, "aclose()")


async def begins_when_entered(trial: Trial) -> str | None:
    """A run is made, and not entered; then closed as it is."""
    feed = Feeding()
    run = trial.stream(_flow(), feed)
    await turns()
    state = run.state
    await run.aclose()
    if feed.begun:
        return "its source was read before it was entered"
    if state != "new":
        return f"before it was entered its state was {state!r}"
    return await _goes_on(run, "an aclose() that came first")


async def closes_from_anywhere(trial: Trial) -> str | None:
    """Other tasks close it, at once, while one waits for a result."""
    feed = Feeding(stalls_at=0)
    async with trial.stream(_flow(), feed) as run:
        waiting = asking(run)
        await turns()
        await asyncio.gather(*(run.aclose() for _ in range(3)))
        if not await trial.is_done(waiting):
            return "aclose() returned, and who waited for a result went on waiting"
        if not isinstance(waiting.exception(), StopAsyncIteration):
            return f"aclose() in another task, and who waited for a result saw {waiting.exception()!r}"
    return None


async def closes_again(trial: Trial) -> str | None:
    """It is closed, and all that ends a run is asked for again."""
    async with trial.stream(_flow(), Feeding()) as run:
        await anext(run)
        await run.aclose()
        await run.aclose()
        run.stop()
        run.drain()
        await run.wait()
        return None if run.state == "ended" else f"afterwards its state is {run.state!r}"


async def stops_its_source(trial: Trial) -> str | None:
    """It is closed, or stopped, before a source without end."""
    for how in ("aclose()", "stop()"):
        feed = Feeding()
        async with trial.stream(_flow(), feed) as run:
            await anext(run)
            if how == "stop()":
                run.stop()
                await _failed(run)
            else:
                await run.aclose()
            if feed.closed < feed.begun:
                return f"after {how} its source was still open"
            if await feed.is_pulled_beyond(feed.pulled, trial.settle):
                return f"after {how} its source was pulled on"
    return None


async def lets_go(trial: Trial) -> str | None:
    """It is closed, held, and what it was given is not."""
    feed: Feeding | None = Feeding()
    given = weakref.ref(feed)
    run = trial.stream(_flow(), feed)
    async with run:
        await anext(run)
    del feed
    await turns()
    gc.collect()
    return None if given() is None else "closed, the run still holds its items"


async def leaves_nothing(trial: Trial) -> str | None:
    """The block is left in the middle."""
    watch = Watch()
    feed = Feeding()
    async with trial.stream(_flow(), feed) as run:
        async for _ in run:
            break
    if feed.closed < feed.begun:
        return "its block was left, and its source was still open"
    left = await watch.left()
    return left and f"its block was left, and there was left: {left}"


async def is_cancelled(trial: Trial) -> str | None:
    """Its consumer is cancelled while it waits for a result."""
    feed = Feeding(stalls_at=0)

    async def consume() -> None:
        async with trial.stream(_flow(), feed) as run:
            await anext(run)

    consuming = asyncio.create_task(consume())
    await feed.is_read(trial.deadline)
    await turns()
    consuming.cancel()
    await asyncio.wait([consuming])
    if not consuming.cancelled():
        return f"its consumer was cancelled, and saw {consuming.exception()!r}"
    return "its consumer was cancelled, and its source was still open" if feed.closed < feed.begun else None


async def passes_errors_of_the_block(trial: Trial) -> str | None:
    """The block raises."""
    error = LookupError("of the block")
    try:
        async with trial.stream(_flow(), Feeding()) as run:
            await anext(run)
            raise error
    except LookupError as raised:
        return None if raised is error else f"{describe_error(raised)} came out in its place"
    return "it was swallowed"
