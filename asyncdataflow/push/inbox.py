"""Inbox: the source of a run that is given items one by one, and where each caller hears what came of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from typing import Any

from ..abc import AckableSource, Positions
from ..errors import RunEndedError, UnsettledError
from ..message import Answer, Message
from ..naming import describe_error

__all__ = ("Inbox", "Result")

Result = tuple[int, Any]
"""The place among the outputs from which it comes, and the value."""


class _Call:
    """What a caller waits for.

    Attributes:
        done: Gets what the call returns.
        results: What has come of the item so far; ``None`` where nobody wants it any more.
        context: Its caller's.
    """

    __slots__ = ("context", "done", "results")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[Any] = loop.create_future()
        self.results: list[Result] | None = []
        self.context = copy_context()


class _Called(Message[Any]):
    """What a caller has given."""

    __slots__ = ()

    @property
    def context(self) -> Context:
        """As of a message."""
        call: _Call = self.handle
        return call.context


class Inbox(AckableSource[Any]):
    """The calls of one run: those that wait for their turn, and those under way.

    It is its own and only session.

    Args:
        name: The flow's name, for errors.
        limit: Most calls under way.
        shaped: Makes of an item's results what the call returns.
        take_back: Takes back an item that was given, where no worker has begun it.
        failure: What the run has failed with.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        shaped: Callable[[Iterable[Result]], Any],
        take_back: Callable[[Message[Any]], object],
        failure: Callable[[], BaseException | None],
    ) -> None:
        self.max_unacked = limit
        self._name = name
        self._shaped = shaped
        self._take_back = take_back
        self._failure = failure
        self._waiting: OrderedDict[Message[Any], None] = OrderedDict()
        self._under_way: set[Message[Any]] = set()
        self._news: asyncio.Future[None] | None = None
        self._closed: str | None = "has not been entered; write: async with flow.open(…) as run"
        self._on_empty: Callable[[], None] | None = None

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        """Calls whose items the run has."""
        return len(self._under_way)

    def begin(self) -> None:
        """Take calls from now on."""
        self._closed = None

    async def call(self, item: Any) -> Any:
        """Put an item in and wait for what comes of it; see ``OpenRun.call``."""
        if self._closed is not None:
            raise self._ended()
        call = _Call(asyncio.get_running_loop())
        message = _Called(item, handle=call)
        del item
        self._waiting[message] = None
        self._wake()
        try:
            return await call.done
        except asyncio.CancelledError:
            self._leave(message)
            raise
        finally:
            # An error's traceback has this frame, and the future has the error: a cycle.
            del call, message

    def _leave(self, message: Message[Any]) -> None:
        """Its caller does not wait any more."""
        call: _Call = message.handle
        call.results = None
        if call.done.done() and not call.done.cancelled():
            call.done.exception()  # Else it would be told of as never retrieved.
        if message in self._waiting:
            del self._waiting[message]
            self._tell_if_empty()
        elif message in self._under_way:
            self._take_back(message)

    def came(self, origins: Iterable[Message[Any]], place: int, value: Any) -> None:
        """A result has come out of the run: of each of these."""
        for message in origins:
            call: _Call = message.handle
            if call.results is not None:
                call.results.append((place, value))

    def close(self, on_empty: Callable[[], None] | None = None) -> None:
        """Take no more calls; the run ends behind those that wait.

        Args:
            on_empty: Called once the run has them all.
        """
        if self._closed is None:
            self._closed = "takes no more calls"
        self._on_empty = on_empty
        self._tell_if_empty()
        self._wake()

    def end(self) -> None:
        """The run has ended: nobody waits any longer."""
        self._closed = "has ended"
        left = [*self._under_way, *self._waiting]
        self._under_way.clear()
        self._waiting.clear()
        for message in left:
            self._answer(message, UnsettledError("the run has ended"))

    @asynccontextmanager
    async def open(self, after: Positions | None = None) -> AsyncGenerator[Inbox, None]:
        """See ``AckableSource``."""
        yield self

    def __aiter__(self) -> Inbox:
        """See ``Subscription``."""
        return self

    async def __anext__(self) -> Message[Any]:
        """The next call's item, in the order of the calls."""
        while not self._waiting:
            if self._closed is not None:
                raise StopAsyncIteration
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        message, _ = self._waiting.popitem(last=False)
        self._under_way.add(message)
        self._tell_if_empty()
        return message

    async def answer(self, answers: Sequence[Answer]) -> None:
        """See ``Subscription``: a call is done when all that was made of its item is settled."""
        for each in answers:
            if each.message in self._under_way:
                self._under_way.discard(each.message)
                self._answer(each.message, each.error)

    def _answer(self, message: Message[Any], error: BaseException | None) -> None:
        call: _Call = message.handle
        results, call.results = call.results, None
        if call.done.done():
            return
        if error is None:
            call.done.set_result(self._shaped(results or ()))
        elif isinstance(error, UnsettledError):
            call.done.set_exception(self._ended())
        else:
            call.done.set_exception(error)

    def _ended(self) -> RunEndedError:
        failure = self._failure()
        told = self._closed or "ended before the item was done"
        if failure is not None:
            told = f"has failed: {describe_error(failure)}"
        error = RunEndedError(f"the run of {self._name} {told}")
        error.__cause__ = failure
        return error

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _tell_if_empty(self) -> None:
        if self._on_empty is not None and not self._waiting:
            tell, self._on_empty = self._on_empty, None
            tell()
