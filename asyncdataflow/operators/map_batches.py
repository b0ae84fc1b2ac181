"""One call for several items, and one result for each: ``map_batches``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

from ..errors import ResultError
from ..naming import describe_item
from ..options import StageOptions
from ..stage import Stage, stage
from .protocol import BatchOperator

__all__ = ("MapBatches", "map_batches")


class MapBatches(BatchOperator):
    """Lists of up to ``size`` items, or of what came ``within`` so many seconds of a list's first."""

    def __init__(self, size: int, within: float | None = None) -> None:
        self.size = size
        self.within = within

    def apart(self, made: Any, items: int) -> Sequence[Any]:
        """As they stand in the sequence; text is none, nor is what has no order or no length."""
        if isinstance(made, str | bytes | bytearray) or not (
            hasattr(made, "__len__") and hasattr(made, "__getitem__") and not hasattr(made, "keys")
        ):
            raise ResultError(
                f"the function given to map_batches returned {describe_item(made)} for {items} "
                f"item{'s' if items > 1 else ''}; a sequence with one result for each, in order, is needed"
            )
        if len(made) != items:
            raise ResultError(
                f"the function given to map_batches returned {len(made)} results for {items} "
                f"item{'s' if items > 1 else ''}; one for each, in their order, is needed"
            )
        return [made[place] for place in range(items)]


def map_batches(
    f: Callable[[list[Any]], Any], size: int, *, within: float | None = None, **options: Unpack[StageOptions]
) -> Stage[Any, Any]:
    """What ``f`` makes of each item, where one call of it takes up to ``size`` of them.

    For what costs by the call: a model, a query with many keys, a request of many records. ``f`` gets a
    list, never empty, and returns a sequence with exactly one result for each item, in order; each
    goes on by itself, in its item's place, so that an ack, a ``zip`` or a ``call`` sees no lists.

    Order: kept. Backpressure: while its results wait for their output, nothing more is taken.
    Completes with its input, after what was collected is called; the same on drain. With
    ``concurrency=`` several lists are worked on at once, and one at a time is collected; with
    ``ordered=False`` they leave as they are done.

    What ``f`` raises, another number of results included, is the error of every item of the list:
    ``retry=`` calls with the same list again, ``on_error=`` decides for each. An ``ItemError`` says
    that one of them is no good: where ``on_error=`` can do without that one, each is then called by
    itself.

    Args:
        f: A function of a list, or a coroutine function. A plain one runs in a thread, unless
            ``executor=`` says otherwise.
        size: Most items in a list, at least 1.
        within: A list is called this many seconds after its first item was taken even when it is
            not full; with 0, ``f`` gets what lies there. ``None`` waits for ``size`` items or the end.
        **options: As in ``stage``, but for ``key`` and ``many``; ``timeout`` is for a call,
            ``rate`` for items, and ``per_worker`` makes a model once a worker.

    Raises:
        ValueError: ``f`` is no callable, ``size`` is below 1, or ``within`` below 0.

    Example:
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.operators import map_batches
        >>> def squares(numbers):
        ...     print(numbers)
        ...     return [n * n for n in numbers]
        >>> DataFlow((range(5), map_batches(squares, 2)))()
        [0, 1]
        [2, 3]
        [4]
        [0, 1, 4, 9, 16]
    """
    if not callable(f):
        raise ValueError(f"map_batches(…): a function of a list is needed, not {f!r}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ValueError(f"map_batches(size): a whole number of at least 1 is needed, not {size!r}")
    if within is not None and not within >= 0:
        raise ValueError(f"map_batches(within=): 0 or more seconds are needed, not {within!r}")
    return stage(Stage(f, label="map_batches", operator=MapBatches(size, within)), **options)
