"""Calls on their way through a worker process: what goes into a message, what is answered, what is lost.

What is lost with a process goes again, in order; the call that it
was at goes alone, so that all before it are answered by then.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ..errors import ArgumentsError
from .messages import CALLS, MORE, MOST_BYTES, joined, pickled, unsendable

__all__ = ("Call", "Series")

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""The positional and keyword arguments of a call."""

_MOST_SENT: Final = 2
"""Messages; one is worked on while the results of the other are taken."""


class Series:
    """Calls that one process makes one after the other, up to the first that fails.

    Args:
        calls: What is called for; pickled when it is to be sent.
        one_by_one: Each is sent when the one before it is answered.

    Attributes:
        refused: Why the first call that is not answered yet cannot be sent.
    """

    def __init__(self, calls: Sequence[Call], *, one_by_one: bool) -> None:
        self.refused: ArgumentsError | None = None
        self._calls: Iterator[Call] = iter(calls)
        self._most_sent = 1 if one_by_one else _MOST_SENT
        self._most = 1 if one_by_one else -(-len(calls) // _MOST_SENT)
        self._total = len(calls)
        self._ended = False
        self._ready: deque[bytes] = deque()
        self._sent: deque[bytes] = deque()
        self._messages: deque[int] = deque()
        self._bytes_sent = 0
        self._answered = 0
        self._begun_before = 0
        self._kind = CALLS
        self._suspects: Counter[int] = Counter()

    @property
    def over(self) -> bool:
        """Nothing more is to be sent or answered."""
        return self._ended or self._answered == self._total

    @property
    def at_rest(self) -> bool:
        """Nothing is with the process."""
        return not self._messages

    def start(self, begun: int) -> None:
        """A process is at rest, and has begun so many calls until now."""
        self._kind = CALLS
        self._begun_before = begun - self._answered

    def due(self) -> Iterator[bytes]:
        """The messages to be sent now."""
        while len(self._messages) < self._most_sent and self._bytes_sent < MOST_BYTES:
            requests = self._cut()
            if not requests:
                return
            self._sent.extend(requests)
            self._messages.append(len(requests))
            self._bytes_sent += sum(map(len, requests))
            yield joined(self._kind, requests)
            self._kind = MORE

    def answer(self, count: int) -> None:
        """So many have been answered, all of one message."""
        for _ in range(count):
            self._bytes_sent -= len(self._sent.popleft())
        self._answered += count
        self._messages[0] -= count
        if not self._messages[0]:
            self._messages.popleft()

    def skip(self) -> None:
        """A message is over: a call in it has failed, or one in a message before it had."""
        self._messages.popleft()

    def end(self) -> None:
        """What is not with the process now shall not begin."""
        self._ended = True

    def lose(self, begun: int) -> int:
        """The process is lost, and all that is not answered is to be sent again: how many of it has begun.

        Args:
            begun: How many calls it has begun in its life.
        """
        self._ready.extendleft(reversed(self._sent))
        self._sent.clear()
        self._messages.clear()
        self._bytes_sent = 0
        return begun - self._begun_before - self._answered

    def suspect(self, begun: int) -> bool:
        """Hold the loss against the last call that has begun, or the first: whether for the second time.

        Args:
            begun: What :meth:`lose` told.
        """
        place = self._answered + max(begun - 1, 0)
        self._suspects[place] += 1
        return place == self._answered and self._suspects[place] > 1

    def _cut(self) -> list[bytes]:
        """The requests of the next message."""
        requests: list[bytes] = []
        size = 0
        place = self._answered + len(self._sent)
        while len(requests) < self._most and (request := self._next()) is not None:
            alone = self._suspects and (place in self._suspects or place - 1 in self._suspects)
            if requests and (alone or size + len(request) > MOST_BYTES):
                self._ready.appendleft(request)
                break
            requests.append(request)
            size += len(request)
            place += 1
        return requests

    def _next(self) -> bytes | None:
        if self._ready:
            return self._ready.popleft()
        if self.refused is not None:
            return None
        try:
            call = next(self._calls, None)
            return None if call is None else pickled(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the fault of this item alone
            self.refused = unsendable(error)
            return None
