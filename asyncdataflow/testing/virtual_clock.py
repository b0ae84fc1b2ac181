"""The clock of one test, on which nothing is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .isolation import refuse_on_a_loop
from .orderly_loop import OrderlyLoop
from .simulated_loop import sleeping_in_virtual_time
from .virtual_loop import VirtualLoop

__all__ = ("VirtualClock", "run_virtual")

T = TypeVar("T")


class VirtualClock:
    """Virtual time for one test; the fixture ``virtual_clock`` gives one.

    What runs on it runs in asyncio's own order, first in, first out; where nothing is ready
    time jumps to the next timer. Thread and process stages are simulated, and ``time.sleep``
    in them passes virtual time.

    Example:
        >>> import asyncio, time
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.testing import VirtualClock, run_flow
        >>> def slowly(number):
        ...     time.sleep(3600)
        ...     return number * 10
        >>> clock = VirtualClock()
        >>> clock.run(run_flow(DataFlow((slowly,)), [1, 2, 3])), clock.now
        ([10, 20, 30], 10800.0)
        >>> clock.run(asyncio.sleep(60))
        >>> clock.now
        10860.0
        >>> clock.close()
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def now(self) -> float:
        """Virtual seconds that have passed: 0 before anything ran."""
        return 0.0 if self._loop is None else self._loop.time()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine; time goes on from where it is.

        Args:
            main: What to run.

        Returns:
            What it returns.

        Raises:
            DeadlockError: Nothing could ever run again.
            RuntimeError: A loop runs already, as in a test that is ``async`` itself.
        """
        try:
            refuse_on_a_loop("a loop runs here already, on virtual time in an async test: await it instead")
        except RuntimeError:
            main.close()
            raise
        if self._runner is None:
            self._runner = asyncio.Runner(loop_factory=OrderlyLoop)
            self._loop = self._runner.get_loop()
        with sleeping_in_virtual_time():
            return self._runner.run(main)

    def follow(self, loop: VirtualLoop) -> None:
        """Show the time of another loop: in a simulated test each seed has its own."""
        self._loop = loop

    def close(self) -> None:
        """End what still runs on it. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is not None:
            with sleeping_in_virtual_time():
                runner.close()


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on virtual time, from a plain test function.

    In asyncio's own order, first in, first out. Threads and processes of flows are simulated.

    Args:
        main: What to run.

    Returns:
        What it returns.

    Raises:
        DeadlockError: Nothing could ever run again.

    Example:
        >>> import asyncio
        >>> from asyncdataflow.testing import run_virtual
        >>> async def a_year_later():
        ...     await asyncio.sleep(365 * 24 * 3600)
        ...     return asyncio.get_running_loop().time()
        >>> run_virtual(a_year_later())
        31536000.0
    """
    clock = VirtualClock()
    try:
        return clock.run(main)
    finally:
        clock.close()
