"""Fan-in: one stream from the branches of a group. ``merge zip_ combine_latest concat``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Literal, Unpack

from ..errors import EndOfChannel, UnevenZipError
from ..options import StageOptions
from ..stage import Stage, stage
from .protocol import Apply, Emit, Inlet, StreamOperator

__all__ = ("CombineLatest", "Concat", "Merge", "Zip", "combine_latest", "concat", "merge", "zip_")


class Merge(StreamOperator):
    """Items as they come."""

    one_to_one = True

    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Pass every item on."""
        (inlet,) = inlets
        with suppress(EndOfChannel):
            while True:
                await emit(await inlet.receive())


class Zip(StreamOperator):
    """One item of each branch at a time, as a tuple or, with ``names``, as a dict."""

    fans_in = True

    def __init__(
        self, uneven: Literal["error", "shortest"] = "error", names: tuple[str, ...] | None = None
    ) -> None:
        self.uneven: Final = uneven
        self.names: Final = names

    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Take one of each until a branch ends."""
        if self.uneven == "shortest":
            await self._until_the_first_end(inlets, emit)
            return
        rounds = 0
        while True:
            row: list[Any] = []
            ended: list[int] = []
            for port, inlet in enumerate(inlets):
                try:
                    row.append(await inlet.receive())
                except EndOfChannel:
                    ended.append(port)
            if ended:
                if row:
                    raise UnevenZipError(_uneven(rounds, len(inlets), ended, self.names))
                return
            await emit(self._as_item(row))
            rounds += 1

    async def _until_the_first_end(self, inlets: Sequence[Inlet], emit: Emit) -> None:
        """Wait on all at once: the first to end ends it, whatever the others wait for."""
        with suppress(EndOfChannel):
            while True:
                await emit(self._as_item(await _one_of_each(inlets)))

    def _as_item(self, row: list[Any]) -> Any:
        return dict(zip(self.names, row, strict=True)) if self.names else tuple(row)


async def _one_of_each(inlets: Sequence[Inlet]) -> list[Any]:
    """An item of every inlet; raises ``EndOfChannel`` as soon as one has ended."""
    pulls = [asyncio.ensure_future(inlet.receive()) for inlet in inlets]
    try:
        await asyncio.wait(pulls, return_when=asyncio.FIRST_EXCEPTION)
        for pull in pulls:
            if pull.done():
                pull.result()
        return [pull.result() for pull in pulls]
    finally:
        for pull in pulls:
            pull.cancel()
        await asyncio.gather(*pulls, return_exceptions=True)


def _uneven(rounds: int, branches: int, ended: list[int], names: tuple[str, ...] | None) -> str:
    called = [names[port] if names else str(port) for port in range(branches)]
    over = [called[port] for port in range(branches) if port not in ended]
    return (
        f"zip: after {rounds} items of each branch, {', '.join(called[port] for port in ended)} ended "
        f'while {", ".join(over)} had one more; write zip_(uneven="shortest") to end quietly'
    )


class CombineLatest(StreamOperator):
    """The latest item of every branch, whenever one of them has a new one."""

    fans_in = True
    tagged = True

    def __init__(self, ports: int = 0, names: tuple[str, ...] | None = None) -> None:
        self.ports: Final = ports
        self.names: Final = names

    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Keep the latest of each; speak once all have spoken."""
        (inlet,) = inlets
        latest: dict[int, Any] = {}
        while True:
            try:
                port, latest[port] = await inlet.receive()
            except EndOfChannel:
                return
            if len(latest) == self.ports:
                row = tuple(latest[each] for each in range(self.ports))
                await emit(dict(zip(self.names, row, strict=True)) if self.names else row)


class Concat(StreamOperator):
    """All of the first branch, then all of the second, and so on."""

    fans_in = True

    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Empty one branch after another."""
        for inlet in inlets:
            with suppress(EndOfChannel):
                while True:
                    await emit(await inlet.receive())


def merge(**options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """One stream of the items of all branches, as they come.

    Order: kept within each branch, free between branches; a branch that is ready is
    served within one turn of every other. Backpressure: while its output is full it
    takes nothing. Completes when every branch has ended. May stand bare: ``merge``.

    Args:
        **options: ``name``, ``buffer`` and ``overflow``, as in ``stage``.

    Example:
        >>> from asyncdataflow import DataFlow, merge
        >>> sorted(DataFlow(((range(3), range(10, 13)), merge))())
        [0, 1, 2, 10, 11, 12]
    """
    return stage(Stage(None, label="merge", operator=Merge()), **options)


def zip_(
    *, uneven: Literal["error", "shortest"] = "error", **options: Unpack[StageOptions]
) -> Stage[Any, Any]:
    """One item of each branch at a time: a tuple, after a set or dict a dict.

    Order: that of the branches. Backpressure: a branch that is ahead waits in its edge.
    Completes when every branch ends with the same count. Behind a broadcast, a branch that
    makes fewer items than its sibling lets the sibling's edge fill up; once it is full, the
    broadcast waits, and the zip with it: zip only branches that keep step, or make the edge
    as large as they may differ.

    Args:
        uneven: What happens when one branch ends and another has an item left:
            ``"error"`` raises ``UnevenZipError`` with the counts, ``"shortest"`` ends quietly.
        **options: ``name``, ``buffer`` and ``overflow``, as in ``stage``.

    Raises:
        ValueError: ``uneven`` is neither.

    Example:
        >>> from asyncdataflow import DataFlow, zip_
        >>> DataFlow(((range(3), iter("abc")), zip_))()
        [(0, 'a'), (1, 'b'), (2, 'c')]
    """
    if uneven not in ("error", "shortest"):
        raise ValueError(f'zip_(uneven=): "error" or "shortest" is needed, not {uneven!r}')
    return stage(Stage(None, label="zip_", operator=Zip(uneven)), **options)


def combine_latest(**options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """The latest item of every branch, each time one of them has a new one.

    Nothing is sent until every branch has sent once. Order: that in which the items
    came. Backpressure: while its output is full it takes nothing. Completes when every
    branch has ended. May stand bare. A tuple, after a set or dict a dict.

    Args:
        **options: ``name``, ``buffer`` and ``overflow``, as in ``stage``.
    """
    return stage(Stage(None, label="combine_latest", operator=CombineLatest()), **options)


def concat(**options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """All items of the first branch, then all of the second, and so on.

    Order: kept. Backpressure: later branches wait, their edges full, until their turn.
    Completes when the last branch ends. May stand bare. Branches of one source would
    hold each other up for ever, and are refused.

    Args:
        **options: ``name``, ``buffer`` and ``overflow``, as in ``stage``.

    Example:
        >>> from asyncdataflow import DataFlow, concat
        >>> DataFlow(((range(2), range(5, 7)), concat))()
        [0, 1, 5, 6]
    """
    return stage(Stage(None, label="concat", operator=Concat()), **options)
