"""The inlets of an operator that takes whole streams apart, where its items are tracked.

The operator sees items only. What it makes is made of all that it has taken since it last made
something: of the rows of a zip and the members of a batch that is the truth, of an item that it
passes on too. What ``combine_latest`` keeps is not done with before a newer one has come.
"""

from __future__ import annotations

from typing import Any, Final

from ..holes import HOLE
from ..operators.combine import CombineLatest, Zip
from ..operators.protocol import Apply, StreamOperator
from .channel import Receiver
from .counted import Counted
from .leaving import Leaving
from .supervise import Counters
from .tracked import Tracked, entrusted, unite

__all__ = ("Kept", "Origins", "TrackedInlet", "origins_of")

_NO_PORT: Final = -1


class Origins:
    """What an operator has taken and not made anything of.

    Args:
        operator: The operator.
        follows: Instruments follow messages of the run.
    """

    def __init__(self, operator: StreamOperator, *, follows: bool) -> None:
        self._follows = follows
        self._taken: list[Tracked] = []
        self._rows = isinstance(operator, Zip)

    def add(self, port: int, item: Tracked) -> None:
        """It takes an item, and knows best how long to keep it."""
        self._taken.append(item)
        if not self._rows:
            item.item = None

    def following(self, apply: Apply) -> Apply:
        """The way to its function, which tells of what it is called for."""
        if not self._follows:
            return apply

        async def followed(*args: Any, **kwargs: Any) -> Any:
            given = entrusted(args, kwargs, self._taken)
            return await (apply(*args, **kwargs) if given is None else apply(given))

        return followed

    def made(self, item: Any) -> Tracked:
        """It makes something of them; a row with a hole is a hole."""
        taken, self._taken = self._taken, []
        made = HOLE if self._rows and any(each.item is HOLE for each in taken) else item
        return unite(made, taken, follows=self._follows)

    def end(self) -> None:
        """It has ended: what it has looked at is done with, but not an item of a zip without its partners."""
        if not self._rows:
            for each in self._taken:
                each.settle()
        self._taken.clear()


class Kept(Origins):
    """What ``combine_latest`` has: the latest of each branch, of which each row is made."""

    def __init__(self, operator: StreamOperator, *, follows: bool) -> None:
        super().__init__(operator, follows=follows)
        self._latest: dict[int, Tracked] = {}
        self._used: set[int] = set()

    def add(self, port: int, item: Tracked) -> None:
        """A newer one replaces it: its rows stand for it, and without any it was looked at."""
        before = self._latest.get(port)
        self._latest[port] = item
        if before is not None and port in self._used:
            before.release()
        elif before is not None:
            before.settle()
        self._used.discard(port)

    def made(self, item: Any) -> Tracked:
        """As in ``Origins``."""
        self._used.update(self._latest)
        parts = [each.part(each.item) for each in self._latest.values()]
        return unite(item, parts, follows=self._follows)

    def end(self) -> None:
        """As in ``Origins``: what has met nobody is left."""
        for port in self._used:
            self._latest[port].release()
        self._latest.clear()


def origins_of(operator: StreamOperator, *, follows: bool) -> Origins:
    """What keeps account of what an operator has taken; as of ``Origins``."""
    return (Kept if isinstance(operator, CombineLatest) else Origins)(operator, follows=follows)


class TrackedInlet(Counted):
    """One inlet.

    Args:
        receiver: The receiving end.
        counters: The stage's figures.
        leaving: How its worker is cancelled.
        origins: Takes what is received.
        tagged: Items come with their port.
    """

    __slots__ = ("_origins", "_tagged")

    def __init__(
        self, receiver: Receiver[Any], counters: Counters, leaving: Leaving, origins: Origins, *, tagged: bool
    ) -> None:
        super().__init__(receiver, counters, leaving)
        self._origins = origins
        self._tagged = tagged

    async def receive(self) -> Any:
        """As in ``Counted``."""
        return self._seen(await super().receive())

    def receive_nowait(self) -> Any:
        """As in ``Counted``."""
        return self._seen(super().receive_nowait())

    def _seen(self, received: Any) -> Any:
        port, item = received if self._tagged else (_NO_PORT, received)
        value = item.item
        self._origins.add(port, item)
        return (port, value) if self._tagged else value
