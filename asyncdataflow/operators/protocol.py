"""What an operator may rely on, and what it has to do.

An *item operator* looks at one item and at what its function said of it, and
decides where things go; concurrency, order, retries and error policies are the
stage's, as for any callable. A *batch operator* has its function called with lists
of items, of each of which it makes one; all these are the stage's too. A *stream
operator* takes whole streams apart and has one worker to itself.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from ..built_in import Operator

__all__ = (
    "ALL",
    "ANY",
    "Apply",
    "BatchOperator",
    "Delivery",
    "Emit",
    "Inlet",
    "ItemOperator",
    "StreamOperator",
)

ALL: Final = -1
"""As the branch of a delivery: every branch."""

ANY: Final = -2
"""As the branch of a delivery: whichever branch is free."""

Delivery = tuple[int, Any]
"""A branch (its index, ``ALL`` or ``ANY``) and the value to send there."""

Emit = Callable[[Any], Awaitable[None]]
"""Send one item on; waits while the edge is full."""

Apply = Callable[..., Awaitable[Any]]
"""Call the stage's function where its executor says, and wait for the result."""


class Inlet(Protocol):
    """The receiving end of one branch."""

    async def receive(self) -> Any:
        """The next item; raises ``EndOfChannel``. Cancelled, it has taken nothing."""

    def receive_nowait(self) -> Any:
        """The next item if one lies there; raises ``WouldBlock`` or ``EndOfChannel``."""

    def close(self) -> None:
        """Say that no more is wanted: whoever sends here is stopped."""


class ItemOperator(Operator, abc.ABC):
    """Decides, for one item, what goes to which branch."""

    @abc.abstractmethod
    def decide(self, item: Any, result: Any, branches: Sequence[str | None]) -> Iterable[Delivery]:
        """What to send where.

        Args:
            item: What came in.
            result: What the stage's function made of it; the item, where there is none.
            branches: Names of the branches behind the stage; empty without a group.

        Raises:
            ItemError: The item cannot be placed; subject to ``on_error=``.
        """

    def places(self, branches: Sequence[str | None]) -> Mapping[str, int]:
        """Of which texts it is known beforehand that the item goes to one branch as it is, and to which.

        Args:
            branches: As of :meth:`decide`, which need not be asked where the function returns one of these.
        """
        return {}


class BatchOperator(Operator, abc.ABC):
    """Makes one item of each, with one call for several.

    Attributes:
        size: Most items in one call.
        within: Seconds that the first of them is kept for others to come; ``None`` until there are ``size``.
    """

    size: int
    within: float | None
    one_to_one = True
    needs_function = True

    @abc.abstractmethod
    def apart(self, made: Any, items: int) -> Sequence[Any]:
        """What a call has made, one result for each of so many items.

        Raises:
            ItemError: It is no such thing; subject to ``on_error=``.
        """


class StreamOperator(Operator, abc.ABC):
    """Turns one stream per branch into one.

    Attributes:
        holds: Most items taken from the inlets and not yet sent on.
        tagged: There is one inlet for all branches, whose items are ``(port, item)``.
        makes_of: Source items in one item that it makes, the most; 1 for most.
    """

    holds: int = 1
    tagged: bool = False
    makes_of: int = 1

    @abc.abstractmethod
    async def run(self, inlets: Sequence[Inlet], emit: Emit, apply: Apply) -> None:
        """Work until the inlets end or no more is wanted, then return.

        The runtime closes inlets and outlet afterwards, also on error.
        """
