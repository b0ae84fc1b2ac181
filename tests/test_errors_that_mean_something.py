"""Exceptions that mean something to Python or asyncio: none ends a run in silence (invariant 38)."""

from __future__ import annotations

import asyncio

import pytest

from asyncdataflow import DataFlow, DataFlowError, stage
from asyncdataflow.errors import StageCancelledError
from tests.failing_flows import SORTS, OwnError, numbers, raiser


async def collected(run):
    return [each async for each in run]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, OwnError])
@pytest.mark.parametrize("sort", SORTS)
class TestWhatEndsPrograms:
    """Invariant 38: they pass through unchanged, and everything is closed first."""

    def test_comes_out_of_a_call(self, kind, sort):
        error = kind(3)
        with pytest.raises(kind) as caught:
            DataFlow(raiser(error)[sort])()
        assert caught.value is error

    def test_comes_out_of_a_stream(self, kind, sort):
        error = kind(3)

        async def main():
            with pytest.raises(kind) as caught:
                async with DataFlow(raiser(error)[sort]).stream() as run:
                    await collected(run)
            assert caught.value is error
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    def test_comes_out_of_an_iteration(self, kind, sort):
        error = kind(3)
        with pytest.raises(kind) as caught, DataFlow(raiser(error)[sort]).iterate() as results:
            list(results)
        assert caught.value is error


@pytest.mark.parametrize(
    "kind", [StopIteration, StopAsyncIteration, GeneratorExit, asyncio.CancelledError, TimeoutError, EOFError]
)
@pytest.mark.parametrize("sort", SORTS)
class TestWhatMeansSomethingToPython:
    """A stage that raises one of these has failed: it neither hangs nor ends in silence."""

    def check(self, error, kind):
        if kind is asyncio.CancelledError:
            assert isinstance(error, StageCancelledError)
        # Python itself makes a RuntimeError of a StopIteration that leaves a coroutine.
        assert isinstance(error, kind | RuntimeError | DataFlowError)

    def test_in_a_call(self, kind, sort):
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever comes is looked at
            DataFlow(raiser(kind("mine"))[sort])()
        self.check(caught.value, kind)

    def test_in_a_stream(self, kind, sort):
        async def main():
            async with DataFlow(raiser(kind("mine"))[sort]).stream() as run:
                with pytest.raises(BaseException) as caught:  # noqa: PT011
                    async for _ in run:
                        pass
            self.check(caught.value, kind)

        asyncio.run(main())

    def test_in_an_iteration(self, kind, sort):
        with (
            pytest.raises(BaseException) as caught,  # noqa: PT011 - as above
            DataFlow(raiser(kind("mine"))[sort]).iterate() as results,
        ):
            for _ in results:
                pass
        self.check(caught.value, kind)


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, asyncio.CancelledError])
async def test_such_an_item_can_be_skipped_like_any_other(kind):
    async def picky(item):
        if item == 2:
            raise kind("mine")
        return item

    assert await DataFlow((numbers, stage(picky, on_error="skip"))).run() == [0, 1, 3, 4]
