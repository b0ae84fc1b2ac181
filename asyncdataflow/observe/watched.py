"""Watched: a run whose figures are asked for from any thread, and the block in which they are."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from ..stats import RunStats

__all__ = ("Seen", "Watched", "Watching", "patience_ends")

_PATIENCE: Final = 1.0
"""Seconds for which a loop is given to take its figures."""


class Watched(Protocol):
    """What is needed of a run."""

    @property
    def name(self) -> str:
        """The flow's name."""

    def stats(self) -> RunStats:
        """A snapshot of what the run has done so far."""


class Seen:
    """A run that is being watched, and what was last seen of it."""

    def __init__(self, run: Watched, flow: str) -> None:
        self.flow = flow
        self.stats = run.stats()
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def look(self) -> RunStats:
        """What it has done so far; of a run whose loop does not answer, what was last seen of it."""
        return self.seen(self.ask(), patience_ends())

    def ask(self) -> concurrent.futures.Future[RunStats] | None:
        """Have its loop take its figures; none where this is its own thread."""
        if threading.get_ident() == self._thread:
            self.stats = self._run.stats()
            return None
        answer: concurrent.futures.Future[RunStats] = concurrent.futures.Future()
        with suppress(RuntimeError):  # The loop is closed: what was last seen is known.
            self._loop.call_soon_threadsafe(self._answer, answer)
            return answer
        return None

    def seen(self, answer: concurrent.futures.Future[RunStats] | None, until: float) -> RunStats:
        """What was asked for, or, where that does not come in time, what is known."""
        if answer is not None:
            with suppress(TimeoutError):
                self.stats = answer.result(max(until - time.monotonic(), 0.0))
        return self.stats

    def _answer(self, answer: concurrent.futures.Future[RunStats]) -> None:
        try:
            answer.set_result(self._run.stats())
        except Exception as error:  # noqa: BLE001 - for whoever scrapes
            answer.set_exception(error)


class Watching:
    """The block in which a run is watched; ``contextmanager`` would write to an error, which may be frozen.

    Args:
        run: The run.
        flow: What to call its flow.
        begin: Told of the run when the block is entered.
        end: Told of it when it is left.
    """

    def __init__(
        self, run: Watched, flow: str, begin: Callable[[Seen], object], end: Callable[[Seen], object]
    ) -> None:
        self._run = run
        self._flow = flow
        self._begin = begin
        self._end = end

    def __enter__(self) -> None:
        self._seen = Seen(self._run, self._flow)
        self._begin(self._seen)

    def __exit__(self, *_: object) -> None:
        self._end(self._seen)


def patience_ends() -> float:
    """When whoever asks now is answered with what is known."""
    return time.monotonic() + _PATIENCE
