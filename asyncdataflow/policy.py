"""What a stage or an edge is to do: frozen values, checked when they are made.

Nothing here runs. The runtime reads these and acts (``_runtime/supervise.py``
for retries and errors, ``_runtime/restarts.py`` for sources, ``_runtime/channel.py`` for buffers
and overflow).
"""

from __future__ import annotations

import abc
import enum
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = (
    "Buffer",
    "DeadLetterPolicy",
    "DurableBuffer",
    "OnError",
    "Overflow",
    "Rate",
    "Restart",
    "Retry",
    "TellCaller",
    "dead_letter",
    "size_in_bytes",
)


class Overflow(enum.Enum):
    """What an edge does with an item that finds it full.

    ``BLOCK``
        The sender waits: backpressure. The default.
    ``DROP_OLDEST``
        The item that has lain there longest is dropped and counted.
    ``DROP_NEWEST``
        The arriving item is dropped and counted.
    ``FAIL``
        The run fails with :class:`~asyncdataflow.errors.BufferFullError`.
    """

    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    FAIL = "fail"


def size_in_bytes(item: Any) -> int:
    """The default measure of an item: its length where it is bytes, else ``sys.getsizeof``.

    ``sys.getsizeof`` does not follow references; give ``Buffer(size=)`` for containers.
    """
    if isinstance(item, bytes | bytearray):
        return len(item)
    if isinstance(item, memoryview):
        return item.nbytes
    return sys.getsizeof(item)


@dataclass(frozen=True, slots=True)
class Buffer:
    """How much an edge holds: at most ``items`` items and, if given, ``bytes`` bytes.

    Args:
        items: Most items that lie in the edge, at least 1.
        bytes: Most bytes that lie in the edge, or ``None`` for no such bound. One item
            larger than the bound passes alone.
        size: Measures one item in bytes; used only where ``bytes`` is given.

    Raises:
        ValueError: ``items`` or ``bytes`` is below 1. No edge is without a bound.
    """

    items: int = 128
    bytes: int | None = None
    size: Callable[[Any], int] = size_in_bytes

    def __post_init__(self) -> None:
        """Check the bounds."""
        _whole_number("Buffer(items=)", self.items)
        if self.bytes is not None:
            _whole_number("Buffer(bytes=)", self.bytes)
        if not callable(self.size) or inspect.iscoroutinefunction(self.size):
            raise ValueError("Buffer(size=): a plain callable from an item to its bytes is needed")


class DurableBuffer(abc.ABC):
    """The ``buffer=`` of an edge whose items survive the run, and the process.

    Items are put in at one end, which is a sink: whoever made them need not have them any more.
    They come out at the other, which is a source that is told what became of each. The sessions
    of that source have a method ``finish()``: nothing more will be put.
    """

    @abc.abstractmethod
    def sink(self) -> Any:
        """The ``Sink`` at which items are put in."""

    @abc.abstractmethod
    def source(self) -> Any:
        """The ``AckableSource`` at which they come out."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try an item again when its stage raises.

    The wait before attempt ``n + 1`` is ``backoff * factor ** (n - 1)``, at most
    ``max_backoff``, of which a random part of up to ``jitter`` is taken off, so that
    workers that failed together do not come back together.

    Args:
        attempts: Tries in all, the first included; ``None`` is endless and has to be
            written to be had.
        backoff: Seconds before the second try.
        factor: By what each further wait is longer than the one before.
        max_backoff: Longest wait, in seconds.
        jitter: Part of each wait that is random, from 0 to 1.
        max_elapsed: No further try once this many seconds have passed since the first.
        on: Exception types that are worth another try.

    Raises:
        ValueError: A number is out of its range.
    """

    attempts: int | None = 3
    backoff: float = 0.1
    factor: float = 2.0
    max_backoff: float = 30.0
    jitter: float = 0.5
    max_elapsed: float | None = None
    on: type[Exception] | tuple[type[Exception], ...] = Exception

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.attempts is not None:
            _whole_number("Retry(attempts=)", self.attempts)
        for field, least in (("backoff", 0.0), ("factor", 1.0), ("max_backoff", 0.0)):
            if not getattr(self, field) >= least:
                raise ValueError(f"Retry({field}=): at least {least} is needed")
        if not 0.0 <= self.jitter <= 1.0:
            raise ValueError("Retry(jitter=): a part from 0 to 1 is needed")
        if self.max_elapsed is not None and not self.max_elapsed > 0:
            raise ValueError("Retry(max_elapsed=): more than 0 seconds is needed")
        _kinds("Retry(on=)", self.on)

    def wait(self, attempt: int, random: float) -> float:
        """Seconds to wait after the failed ``attempt`` (1 is the first), given a draw from [0, 1)."""
        try:
            full = min(self.backoff * self.factor ** (attempt - 1), self.max_backoff)
        except OverflowError:
            full = self.max_backoff
        return full * (1.0 - self.jitter * random)


@dataclass(frozen=True, slots=True)
class Restart:
    """Open a source anew when it fails.

    The wait after the ``n``-th failure in a row is ``first * 2 ** (n - 1)``, at most ``most``, of
    which a random part of up to ``jitter`` is taken off. Failures older than ``within`` count no more.

    Args:
        attempts: Failures within ``within`` seconds after which it is opened anew; one more stands.
            ``None`` is endless and has to be written to be had.
        within: Seconds.
        first: Seconds before it is opened anew for the first time.
        most: Longest wait, in seconds.
        jitter: Part of each wait that is random, from 0 to 1.
        settle: Seconds that the items of a source that is answered have to be settled before it is
            opened anew; those that are not by then come again.
        on: Exception types that are worth it; any other stands at once. ``Exception`` leaves out, as
            long as the source could never be opened, what no wait mends: a file that is not there, a
            right that is missing, a wrong value; and always ``SourceChangedError``, because what a
            source was read up to does not come back. ``OSError``, say, leaves out nothing of its kind.

    Raises:
        ValueError: A number is out of its range, or the waits are so long that ``attempts`` can
            never be used up ``within`` that time.

    Example:
        >>> from asyncdataflow import DataFlow, stage
        >>> from asyncdataflow.policy import Restart
        >>> tries = []
        >>> async def feed():
        ...     tries.append("open")
        ...     if len(tries) < 3:
        ...         raise ConnectionError("not yet")
        ...     yield "news"
        >>> DataFlow((stage(feed, restart=Restart(first=0.001)), str.upper))()
        ['NEWS']
        >>> len(tries)
        3
    """

    attempts: int | None = 10
    within: float = 300.0
    first: float = 0.1
    most: float = 30.0
    jitter: float = 0.5
    settle: float = 30.0
    on: type[Exception] | tuple[type[Exception], ...] = Exception

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.attempts is not None:
            _whole_number("Restart(attempts=)", self.attempts)
        for field, value in (("first", self.first), ("most", self.most), ("settle", self.settle)):
            if not value >= 0:
                raise ValueError(f"Restart({field}=): at least 0 seconds is needed")
        if not self.within > 0:
            raise ValueError("Restart(within=): more than 0 seconds is needed")
        if not 0.0 <= self.jitter <= 1.0:
            raise ValueError("Restart(jitter=): a part from 0 to 1 is needed")
        _kinds("Restart(on=)", self.on)
        if self.attempts is not None and sum(map(self._full, range(1, self.attempts + 1))) >= self.within:
            raise ValueError(
                f"Restart(): {self.attempts} waits of up to {self.most} s take longer than "
                f"within={self.within} s, so that no failure would ever stand; give a longer within=, or "
                "attempts=None if that is meant"
            )

    def wait(self, failures: int, random: float) -> float:
        """Seconds to wait after so many failures in a row, given a draw from [0, 1)."""
        return self._full(failures) * (1.0 - self.jitter * random)

    def _full(self, failures: int) -> float:
        return min(self.first * 2.0 ** min(failures - 1, 64), self.most)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``items`` items begun in any ``seconds`` seconds, evenly spaced after a burst.

    Args:
        items: How many items.
        seconds: In how many seconds.
        burst: How many may begin at once after a pause, at least 1.

    Raises:
        ValueError: A number is not positive.
    """

    items: float
    seconds: float = 1.0
    burst: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.items > 0 or not self.seconds > 0:
            raise ValueError("Rate(items, seconds): both have to be more than 0")
        _whole_number("Rate(burst=)", self.burst)


@dataclass(frozen=True, slots=True)
class DeadLetterPolicy:
    """Send what failed for good to ``sink``; made by :func:`dead_letter`."""

    sink: Any


@dataclass(frozen=True, slots=True)
class TellCaller:
    """What failed for good is told to whoever gave the item, and the run goes on; of ``open``.

    Args:
        hole: A hole goes on in its place, for the zip behind.
    """

    hole: bool = False


OnError = Literal["fail", "skip"] | DeadLetterPolicy | TellCaller


def dead_letter(sink: Any) -> DeadLetterPolicy:
    """The ``on_error=`` policy that sends what failed to a sink and goes on.

    Args:
        sink: Any destination: a callable, ``stage(…)`` or ``Sink``. It is a stage of its own
            with its own worker and takes one :class:`~asyncdataflow.message.DeadLetter` at a
            time. Stages that are given the same object share it. Its failure stops the run.

    Example:
        >>> from asyncdataflow import DataFlow, dead_letter, stage
        >>> rejects = []
        >>> flow = DataFlow((stage(int, on_error=dead_letter(rejects.append)),))
        >>> list(flow.iterate(items=["1", "two", "3"]))
        [1, 3]
        >>> rejects[0].item
        'two'
    """
    return DeadLetterPolicy(sink)


def _whole_number(what: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{what}: a whole number of at least 1 is needed, not {value!r}")


def _kinds(what: str, value: object) -> None:
    kinds = value if isinstance(value, tuple) else (value,)
    if not kinds or not all(isinstance(k, type) and issubclass(k, Exception) for k in kinds):
        raise ValueError(f"{what}: an Exception class or a tuple of them is needed")
