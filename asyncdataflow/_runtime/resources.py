"""Resources of a run: entered before its first worker, left after its last, in reverse order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from typing import Any, Final

from .._threads.workshop import Workshop
from ..errors import ShutdownTimeoutError
from ..naming import annotate, place
from ..parameters import for_call
from ..signature import read
from .lane import Lane, Target
from .opening import enter_any

__all__ = ("Resources",)

_PATIENCE: Final = 5.0
_logger = logging.getLogger("asyncdataflow")


class Resources:
    """What a run has open around its workers.

    Args:
        flow: The flow's name, for errors.
        resources: A callable is called like a source and what it makes is entered where it
            is a context manager; anything else is passed as it stands.
        params: The run's parameters.
        workshop: Where the threads come from that plain callables are called in.
    """

    def __init__(
        self, flow: str, resources: Mapping[str, Any], params: Mapping[str, Any], workshop: Workshop
    ) -> None:
        self._flow = flow
        self._resources = resources
        self._params = params
        self._workshop = workshop
        self._stack: AsyncExitStack | None = None
        self._grace: float | None = None
        self._closing: asyncio.Timeout | None = None

    async def open(self) -> dict[str, Any]:
        """The resources by name, each opened."""
        if not self._resources:
            return {}
        stack = self._stack = AsyncExitStack()
        params = self._params
        opened: dict[str, Any] = {}
        for name, resource in self._resources.items():
            if not callable(resource):
                opened[name] = resource
                continue
            try:
                opened[name] = await _open(stack, name, resource, params, self._workshop)
            except BaseException as error:
                annotate(error, f"while opening {place('resources', name)}")
                raise
        return opened

    async def close(self, failure: BaseException | None) -> None:
        """Leave what was entered; it sees the failure, so that a transaction rolls back.

        Raises:
            ShutdownTimeoutError: It took longer than the grace that :meth:`hurry` has left it.
        """
        if self._stack is None:
            return
        details = (None, None, None) if failure is None else (type(failure), failure, failure.__traceback__)
        try:
            async with asyncio.timeout(self._grace) as scope:
                self._closing = scope
                await self._stack.__aexit__(*details)
        except TimeoutError:
            if not scope.expired():
                raise
            raise ShutdownTimeoutError(
                f"{self._flow}: its resources did not close within {self._grace} s"
            ) from None
        finally:
            self._closing = None

    def hurry(self, grace: float, now: float) -> None:
        """The run is being stopped: closing has this long, from now or from when it begins."""
        self._grace = grace
        if self._closing is not None and not self._closing.expired():
            self._closing.reschedule(now + grace)

    def let_go(self) -> None:
        """Forget what the run was given."""
        self._resources = self._params = {}


async def _open(
    stack: AsyncExitStack, name: str, resource: Any, params: Mapping[str, Any], workshop: Workshop
) -> Any:
    how = read(resource, place("resources", name))
    args, kwargs = for_call(how, params, {}, ())
    if how.kind == "coroutine":
        return await enter_any(stack, await resource(*args, **kwargs))
    lane = Lane(f"resource {name}", 1, _call_anything, workshop)
    stack.push_async_callback(_close, lane)
    made = await lane.call((resource, *args), kwargs, None)
    if isinstance(made, AbstractContextManager) and not hasattr(made, "__aenter__"):
        # It may block, and may be bound to its thread: entered and left where it was made.
        entering = asyncio.ensure_future(lane.call((made.__enter__,), {}, None))
        stack.push_async_exit(_leaving(lane, made, entering))
        return await asyncio.shield(entering)
    return await enter_any(stack, made)


def _leaving(lane: Lane, made: AbstractContextManager[Any], entering: asyncio.Future[Any]) -> Any:
    async def leave(*details: Any) -> None:
        # Cancelled meanwhile, the thread has entered it all the same.
        await asyncio.wait([entering], timeout=_PATIENCE)
        if entering.done() and not entering.cancelled() and entering.exception() is None:
            await lane.call((made.__exit__, *details), {}, None)

    return leave


@contextmanager
def _call_anything() -> Any:
    target: Target = lambda function, *args, **kwargs: function(*args, **kwargs)  # noqa: E731 - typed as what a lane calls
    yield target


async def _close(lane: Lane) -> None:
    ending = lane.shut()
    try:
        if ending:
            await asyncio.wait(ending, timeout=_PATIENCE)
    finally:
        for left in await lane.close():
            _logger.error("left behind: %s", left)
