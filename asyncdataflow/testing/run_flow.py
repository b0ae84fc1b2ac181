"""run_flow: inputs in, a list of results out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from typing import Any, TypeVar

from ..dataflow import DataFlow
from ..engine import Engine

__all__ = ("run_flow",)

Out = TypeVar("Out")


async def run_flow(
    flow: DataFlow[Any, Out],
    inputs: Iterable[Any] | AsyncIterable[Any] | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> list[Out]:
    """Feed a flow, run it to its end, and return its results: always a list.

    Args:
        flow: What to run.
        inputs: Items that its first step takes, read on the loop, which they must not block;
            ``None`` where it has sources of its own.
        params: Run parameters by name.
        engine: Where its workers live; ``None`` is this machine.

    Returns:
        The results in the order in which they leave the last step, one by one, also where
        ``await flow.run()`` would give one bare value or a place per branch.

    Raises:
        ParameterError: A parameter is missing, or used by nobody.
        BaseException: What failed first in any stage, as it was raised.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.testing import run_flow, run_virtual
        >>> async def slowly(number):
        ...     await asyncio.sleep(3600)
        ...     return number * 10
        >>> run_virtual(run_flow(DataFlow(slowly), [1, 2, 3]))
        [10, 20, 30]
    """
    # Text is refused by the run, not taken for an iterable of letters.
    items = _read(inputs) if isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes) else inputs
    async with flow.stream(params, items=items, engine=engine) as run:
        return [result async for result in run]


async def _read(inputs: Iterable[Any]) -> AsyncGenerator[Any, None]:
    """On the loop: a run reads what may block in a thread, for which virtual time does not wait."""
    for item in inputs:
        yield item
