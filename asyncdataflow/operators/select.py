"""Which items go on: ``filter_ flatten take until``."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, Unpack

from ..errors import EndOfChannel, ResultError
from ..naming import describe_item
from ..options import StageOptions
from ..stage import Stage, stage
from .protocol import ALL, Apply, Delivery, Emit, Inlet, ItemOperator, StreamOperator

__all__ = ("Filter", "Take", "Until", "filter_", "flatten", "take", "until")


class Filter(ItemOperator):
    """The item, where the function says yes."""

    needs_function = True

    def decide(self, item: Any, result: Any, branches: Sequence[str | None]) -> Iterable[Delivery]:
        """All or nothing."""
        return ((ALL, item),) if result else ()


class Take(StreamOperator):
    """The first ``count`` items."""

    def __init__(self, count: int = 1) -> None:
        self.count: Final = count

    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Stop right behind the last one, without waiting for another."""
        (inlet,) = inlets
        with suppress(EndOfChannel):
            for _ in range(self.count):
                await emit(await inlet.receive())


class Until(StreamOperator):
    """The items before the first of which the function says yes."""

    needs_function = True

    def __init__(self, *, inclusive: bool = False) -> None:
        self.inclusive: Final = inclusive

    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Ask before sending on."""
        (inlet,) = inlets
        while True:
            try:
                item = await inlet.receive()
            except EndOfChannel:
                return
            last = await apply(item)
            if not last or self.inclusive:
                await emit(item)
            del item  # Else it lives until the next one comes.
            if last:
                return


async def _each(items: Any) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    elif isinstance(items, Iterable):
        for item in items:
            yield item
    else:
        raise ResultError(f"flatten needs an iterable item, not {describe_item(items)}")


def filter_(f: Callable[[Any], Any], **options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """The items of which ``f`` is true.

    Order: kept. Backpressure: waits for its output. Completes with its input.

    Args:
        f: A function of an item, or a coroutine function. Runs on the loop unless
            ``executor=`` says otherwise.
        **options: As in ``stage``.

    Raises:
        ValueError: ``f`` is no callable.

    Example:
        >>> from asyncdataflow import DataFlow, filter_
        >>> DataFlow((range(5), filter_(lambda n: n % 2)))()
        [1, 3]
    """
    if not callable(f):
        raise ValueError(f"filter_(…): a function of the item is needed, not {f!r}")
    return stage(Stage(f, label="filter_", operator=Filter()), **options)


def flatten(**options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """The members of each item, one by one.

    Order: kept. Backpressure: between members. Completes with its input. May stand bare.
    An item is any iterable or async iterable; of a mapping, its keys; of text, its
    characters. Runs on the loop: a blocking iterator belongs in a generator function.

    Args:
        **options: As in ``stage``.

    Example:
        >>> from asyncdataflow import DataFlow, flatten
        >>> list(DataFlow((flatten,)).iterate(items=[[1, 2], [], [3]]))
        [1, 2, 3]
    """
    return stage(Stage(_each, label="flatten"), **options)


def take(count: int, **options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """The first ``count`` items; then what made them is stopped.

    Order: kept. Backpressure: waits for its output. Completes right behind the last item
    or with its input.

    Args:
        count: How many, at least 1.
        **options: ``name``, ``buffer`` and ``overflow``, as in ``stage``.

    Raises:
        ValueError: ``count`` is below 1.

    Example:
        >>> import itertools
        >>> from asyncdataflow import DataFlow, take
        >>> DataFlow((itertools.count(), take(3)))()
        [0, 1, 2]
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"take(…): a whole number of at least 1 is needed, not {count!r}")
    return stage(Stage(None, label="take", operator=Take(count)), **options)


def until(
    f: Callable[[Any], Any], *, inclusive: bool = False, **options: Unpack[StageOptions]
) -> Stage[Any, Any]:
    """The items before the first of which ``f`` is true; then what made them is stopped.

    Order: kept. Backpressure: waits for its output. Completes at that item or with its input.

    Args:
        f: A function of an item, or a coroutine function. Runs on the loop unless
            ``executor=`` says otherwise.
        inclusive: That item itself is sent too.
        **options: ``name``, ``buffer``, ``overflow`` and ``executor``, as in ``stage``.

    Raises:
        ValueError: ``f`` is no callable.

    Example:
        >>> import itertools
        >>> from asyncdataflow import DataFlow, until
        >>> DataFlow((itertools.count(), until(lambda n: n == 3)))()
        [0, 1, 2]
    """
    if not callable(f):
        raise ValueError(f"until(…): a function of the item is needed, not {f!r}")
    return stage(Stage(f, label="until", operator=Until(inclusive=inclusive)), **options)
