"""Resources of a run: entered before its first worker, left after its last, in reverse order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from typing import Any, Final

from ..naming import annotate, place
from ..parameters import for_call
from ..signature import read
from .call import enter_any
from .lane import Lane, Target
from .workshop import Workshop

__all__ = ("open_resources",)

_PATIENCE: Final = 5.0
_logger = logging.getLogger("asyncdataflow")


async def open_resources(
    stack: AsyncExitStack, resources: Mapping[str, Any], params: Mapping[str, Any], workshop: Workshop
) -> dict[str, Any]:
    """The resources by name, each opened.

    Args:
        stack: Where they are entered; leaving it closes them in reverse order.
        resources: A callable is called like a source and what it makes is entered where it
            is a context manager; anything else is passed as it stands.
        params: The run's parameters.
        workshop: Where the threads come from that plain callables are called in.
    """
    opened: dict[str, Any] = {}
    for name, resource in resources.items():
        if not callable(resource):
            opened[name] = resource
            continue
        try:
            opened[name] = await _open(stack, name, resource, params, workshop)
        except BaseException as error:
            annotate(error, f"while opening {place('resources', name)}")
            raise
    return opened


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
