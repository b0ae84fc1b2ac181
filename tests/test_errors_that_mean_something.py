"""Exceptions that mean something to Python or asyncio: none ends a run in silence (invariant 38)."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import DataFlow, DataFlowError, stage
from asyncdataflow.errors import StageCancelledError
from tests.failing_flows import SORTS, numbers, raiser


async def collected(run):
    return [each async for each in run]


def called(flow):
    return flow()


def streamed(flow):
    async def main():
        try:
            async with flow.stream() as run:
                return await collected(run)
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(main())


def iterated(flow):
    with flow.iterate() as results:
        return list(results)


WAYS = (called, streamed, iterated)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("sort", SORTS)
def test_what_ends_programs_passes_through_unchanged(kind, sort):
    """Invariant 38, every way to run in turn."""
    for way in WAYS:
        error = kind(3)
        with pytest.raises(kind) as caught:
            way(DataFlow(raiser(error)[sort]))
        assert caught.value is error, way


@pytest.mark.parametrize(
    "kind", [StopIteration, StopAsyncIteration, GeneratorExit, asyncio.CancelledError, TimeoutError]
)
@pytest.mark.parametrize("sort", SORTS)
def test_what_means_something_to_python_neither_hangs_nor_ends_in_silence(kind, sort):
    """A stage that raises one of these has failed, every way to run in turn."""
    for way in WAYS:
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever comes is looked at
            way(DataFlow(raiser(kind("mine"))[sort]))
        if kind is asyncio.CancelledError:
            assert isinstance(caught.value, StageCancelledError), way
        # Python itself makes a RuntimeError of a StopIteration that leaves a coroutine.
        assert isinstance(caught.value, kind | RuntimeError | DataFlowError), way


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, asyncio.CancelledError])
async def test_such_an_item_can_be_skipped_like_any_other(kind):
    async def picky(item):
        if item == 2:
            raise kind("mine")
        return item

    assert await DataFlow((numbers, stage(picky, on_error="skip"))).run() == [0, 1, 3, 4]
