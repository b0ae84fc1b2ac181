"""Several items made into one, or one out of all before: ``batch scan``."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from typing import Any, Final, Unpack

from ..errors import EndOfChannel, WouldBlock
from ..options import StageOptions
from ..stage import Stage, stage
from .protocol import Apply, Emit, Inlet, StreamOperator

__all__ = ("Batch", "Scan", "batch", "scan")


class _Unset:
    """So that ``None`` can be an initial state."""

    def __repr__(self) -> str:
        return "the first item"


_UNSET: Final = _Unset()


class Batch(StreamOperator):
    """Lists of ``size`` items, or of what came within ``seconds`` of a list's first."""

    def __init__(self, size: int = 1, seconds: float | None = None) -> None:
        self.size: Final = size
        self.seconds: Final = seconds

    @property
    def holds(self) -> int:  # type: ignore[override]  # a constant of the class elsewhere
        """A full list waits in hand to be sent."""
        return self.size

    @property
    def makes_of(self) -> int:  # type: ignore[override]  # as above
        """Every item that it makes is a list of so many."""
        return self.size

    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Collect until full, late or ended; never send an empty list."""
        (inlet,) = inlets
        ended = False
        while not ended:
            lot: list[Any] = []
            ended = await self._collect(inlet, lot)
            if lot:
                await emit(lot)

    async def _collect(self, inlet: Inlet, lot: list[Any]) -> bool:
        """Fill ``lot``; true when the input has ended."""
        deadline: float | None = None
        while len(lot) < self.size:
            try:
                lot.append(await _next_before(inlet, deadline))
            except TimeoutError:
                return False
            except EndOfChannel:
                return True
            if deadline is None and self.seconds is not None:
                deadline = asyncio.get_running_loop().time() + self.seconds
        return False


async def _next_before(inlet: Inlet, deadline: float | None) -> Any:
    """The next item, or ``TimeoutError``; the timer is only paid for where there is a wait."""
    if deadline is None:
        return await inlet.receive()
    try:
        return inlet.receive_nowait()
    except WouldBlock:
        async with asyncio.timeout_at(deadline):
            return await inlet.receive()


class Scan(StreamOperator):
    """Every state on the way of a fold."""

    one_to_one = True
    needs_function = True

    def __init__(self, initial: Any = _UNSET) -> None:
        self.initial: Final = initial

    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Fold, and send each state; each run starts from a copy of its own."""
        (inlet,) = inlets
        state = copy.deepcopy(self.initial) if self.initial is not _UNSET else _UNSET
        while True:
            try:
                item = await inlet.receive()
            except EndOfChannel:
                return
            state = item if state is _UNSET else await apply(state, item)
            del item  # Else it lives until the next one comes.
            await emit(state)


def batch(size: int, seconds: float | None = None, **options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """Lists of ``size`` items, the last one maybe shorter, none empty.

    Order: kept. Backpressure: a full list waits for its output and nothing more is taken.
    Completes with its input, after what was collected is sent; the same on drain.

    Args:
        size: Most items in a list, at least 1.
        seconds: A list is sent this long after its first item even when it is not full.
            ``None`` waits for ``size`` items or the end.
        **options: ``name``, ``buffer`` and ``overflow``, as in ``stage``.

    Raises:
        ValueError: ``size`` is below 1, or ``seconds`` is not more than 0.

    Example:
        >>> from asyncdataflow import DataFlow, batch
        >>> DataFlow((range(5), batch(2)))()
        [[0, 1], [2, 3], [4]]
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ValueError(f"batch(size): a whole number of at least 1 is needed, not {size!r}")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"batch(seconds=): more than 0 is needed, not {seconds!r}")
    return stage(Stage(None, label="batch", operator=Batch(size, seconds)), **options)


def scan(
    f: Callable[[Any, Any], Any], initial: Any = _UNSET, **options: Unpack[StageOptions]
) -> Stage[Any, Any]:
    """Each state of a fold: ``state = f(state, item)`` for every item.

    Order: kept. Backpressure: waits for its output. Completes with its input.

    Args:
        f: From the state so far and an item to the next state; may be a coroutine function.
            Runs on the loop unless ``executor=`` says otherwise.
        initial: The state before the first item, copied for each run and not itself sent;
            without it the first item is the first state.
        **options: ``name``, ``buffer``, ``overflow`` and ``executor``, as in ``stage``.

    Raises:
        ValueError: ``f`` is no callable.

    Example:
        >>> from asyncdataflow import DataFlow, scan
        >>> DataFlow((range(1, 5), scan(lambda total, n: total + n)))()
        [1, 3, 6, 10]
    """
    if not callable(f):
        raise ValueError(f"scan(…): a function of state and item is needed, not {f!r}")
    return stage(Stage(f, label="scan", operator=Scan(initial)), **options)
