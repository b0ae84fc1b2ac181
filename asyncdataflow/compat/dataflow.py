"""``DataFlow`` of async-data-flow 0.0.1, run by the ``DataFlow`` of this package."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ..dataflow import DataFlow as Streaming
from .definition import Passing, check, sequence

__all__ = ("DataFlow",)


class DataFlow:
    """Functions, called by the names of their parameters with what those before returned.

    Args:
        dataflow: A tuple of functions, one after the other; a tuple in it is a group, a
            tuple in a group a sequence again.
        run_forever: Begin again, with the same arguments, when the end is reached; read
            each time, so that setting the attribute to false ends it.
        args_visibility: ``'None'``: a function sees what the one before it returned;
            ``'Initial'``: and the arguments of the call; ``'All'``: and all before.

    Raises:
        DataFlowDefinitionError: One of its subclasses says what is wrong.

    Example:
        >>> import asyncio
        >>> from asyncdataflow.compat import DataFlow
        >>> async def double(a):
        ...     return {"b": 2 * a}
        >>> def text(b):
        ...     return {"text": str(b)}
        >>> asyncio.run(DataFlow((double, text))(a=2))
        {'text': '4'}
    """

    def __init__(
        self, dataflow: tuple[Any, ...], *, run_forever: bool = False, args_visibility: str = "None"
    ) -> None:
        check(dataflow)
        self.dataflow = dataflow
        self.run_forever = run_forever
        self._initial = args_visibility == "Initial"
        self._streaming = Streaming(sequence(dataflow, cumulative=args_visibility == "All"))

    async def __call__(self, /, **kwargs: Any) -> dict[Any, Any]:
        """Run to the end; what the last function returned."""
        while True:
            passing = Passing(dict(kwargs), kwargs if self._initial else {})
            (last,) = await self._streaming.run(items=_alone(passing))
            if not self.run_forever:
                arguments: dict[Any, Any] = last.arguments
                return arguments


async def _alone(passing: Passing) -> AsyncIterator[Passing]:
    """The one item of a run; a list of it would be read in a thread, as any iterable is."""
    yield passing
