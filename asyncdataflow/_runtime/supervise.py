"""What happens to an item whose stage raised: again, skipped, to a sink, or the end of the run."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..errors import ShutdownTimeoutError, StageCancelledError
from ..holes import HOLE
from ..message import DeadLetter
from ..naming import annotate, describe_error, describe_item, place
from ..policy import DeadLetterPolicy, Retry, TellCaller
from ..stage import Stage
from .channel import Sender
from .tracked import Tracked, tracked

__all__ = (
    "Counters",
    "Supervisor",
    "TrackedSupervisor",
    "cancelled_from_outside",
    "not_an_ending",
    "own_cancel",
    "tell_of_further",
    "unordered_cancel",
)

_logger = logging.getLogger("asyncdataflow")


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Counters:
    """A stage's figures while it runs; see ``StageStats`` for what each means."""

    received: int = 0
    settled: int = 0
    sent: int = 0
    filtered: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    failed: int = 0
    retried: int = 0


class Supervisor:
    """Applies a stage's ``retry=`` and ``on_error=`` to one failed attempt after another.

    Args:
        stage: Whose policies they are.
        counters: Where to count it.
        dead_letters: The edge to the dead-letter sink, where there is one.

    Attributes:
        leaves_hole: What is given up has become a hole, which goes on in its place.
    """

    def __init__(
        self,
        stage: Stage[Any, Any],
        counters: Counters,
        dead_letters: Sender[DeadLetter] | None = None,
    ) -> None:
        self._name = stage.title
        self._path = stage.path
        self._has_items = stage.role != "source"
        self._retry = stage.retry
        self._on_error = stage.on_error
        self._counters = counters
        self._dead_letters = dead_letters
        self.leaves_hole = isinstance(stage.on_error, TellCaller) and stage.on_error.hole

    @property
    def attempts(self) -> int | None:
        """Tries in all; ``None`` is endless."""
        return 1 if self._retry is None else self._retry.attempts

    async def again(self, error: Exception, item: Any, attempt: int, since: float) -> bool:
        """Decide on a failed attempt.

        Args:
            error: What it raised.
            item: The item as it came in.
            attempt: Which one it was; 1 is the first.
            since: When the first began, in the loop's time.

        Returns:
            True, after the wait, to try again; false when the item has been skipped or
            sent to the dead-letter sink. Otherwise raises ``error`` with a note.
        """
        if await self.waited(error, attempt, since):
            return True
        try:
            await self.give_up(error, item, attempt)
        finally:
            del error, item  # The traceback gets this frame: a cycle.
        return False

    async def waited(self, error: Exception, attempt: int, since: float) -> bool:
        """Whether there is another attempt; true after the wait for it."""
        if self._retry is None or not await self._waited(self._retry, error, attempt, since):
            return False
        self._counters.retried += 1
        return True

    async def give_up(self, error: Exception, item: Any, attempt: int) -> None:
        """Skip the item, send it to the dead-letter sink, or raise ``error`` with a note."""
        if self._on_error == "skip":
            self._counters.skipped += 1
            return
        self.annotate(error, item, attempt)
        if isinstance(self._on_error, DeadLetterPolicy) and self._dead_letters is not None:
            await self._dead_letters.send(self._letter(error, item, attempt))
            self._counters.dead_lettered += 1
            return
        self._counters.failed += 1
        try:
            raise error
        finally:
            del error, item

    def _letter(self, error: Exception, item: Any, attempt: int) -> Any:
        return DeadLetter(item, error, self._name, self._path, attempt, time.time())

    def annotate(self, error: BaseException, item: Any, attempt: int) -> None:
        """Say on the exception where it was raised and with what."""
        of = f", attempt {attempt} of {self.attempts or 'any number'}"
        self.annotate_stage(error, f"{of}, item: {describe_item(item)}" if self._has_items else of)

    def annotate_stage(self, error: BaseException, more: str = "") -> None:
        """Say on the exception in which stage it was raised."""
        annotate(error, f"in stage {place(self._name, self._path)}{more}")

    def own(self, error: Exception) -> None:
        """A worker has ended with it: it is its stage's, unless a note says already whose it is."""
        if not any(str(note).startswith("in stage") for note in getattr(error, "__notes__", ())):
            self._counters.failed += 1
            self.annotate_stage(error)

    async def _waited(self, retry: Retry, error: Exception, attempt: int, since: float) -> bool:
        if not isinstance(error, retry.on) or (retry.attempts is not None and attempt >= retry.attempts):
            return False
        wait = retry.wait(attempt, random.random())  # noqa: S311 - spreads retries, guards nothing
        now = asyncio.get_running_loop().time()
        if retry.max_elapsed is not None and now + wait - since > retry.max_elapsed:
            return False
        await asyncio.sleep(wait)
        return True


class TrackedSupervisor(Supervisor):
    """The same for items that are tracked: what became of one is said on its receipt."""

    async def give_up(self, error: Exception, item: Tracked, attempt: int) -> None:
        """As in ``Supervisor``."""
        if isinstance(self._on_error, TellCaller):
            self.annotate(error, item, attempt)
            if self.leaves_hole:
                # The hole is sent in its place, and counted as that.
                item.part(HOLE).fail(error)
                item.item = HOLE
            else:
                self._counters.failed += 1
                item.fail(error)
            return
        try:
            await super().give_up(error, item, attempt)
        except Exception as raised:
            if raised is error:
                item.fail(error)
            raise
        finally:
            del error
        # What has gone to the dead-letter sink has left its receipt behind there.
        item.settle()

    def _letter(self, error: Exception, item: Tracked, attempt: int) -> Tracked:
        return tracked(super()._letter(error, item.item, attempt), item.take())

    def annotate(self, error: BaseException, item: Any, attempt: int) -> None:
        """As in ``Supervisor``."""
        super().annotate(error, item.item if isinstance(item, Tracked) else item, attempt)


def not_an_ending(error: Exception) -> Exception:
    """An error to raise in place of one that means the end of an iteration to Python (PEP 479)."""
    if not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    made = RuntimeError(f"the stage raised {type(error).__name__}")
    made.__cause__ = error
    return made


def unordered_cancel(error: asyncio.CancelledError) -> StageCancelledError:
    """The error to make of a worker's end by a ``CancelledError`` that the runtime did not ask for."""
    task = asyncio.current_task()
    return cancelled_from_outside() if task is not None and task.cancelling() else own_cancel(error)


def cancelled_from_outside() -> StageCancelledError:
    """The error to end a run with of which somebody has cancelled a task."""
    return StageCancelledError("a worker was cancelled from outside")


def own_cancel(error: asyncio.CancelledError) -> StageCancelledError:
    """The error to make of a ``CancelledError`` that nobody asked for."""
    made = StageCancelledError("the stage raised CancelledError, and nobody had cancelled it")
    made.__cause__ = error
    return made


def tell_of_further(error: BaseException, first: BaseException, name: str) -> None:
    """A run that has failed fails once more: said on the first error, and logged."""
    # A deadline's is lines to be read, with the stack of what hangs, and without one of its own.
    late = isinstance(error, ShutdownTimeoutError)
    told = str(error) if late else describe_error(error)
    if isinstance(first, Exception):
        annotate(first, f"and then: {told}")
    with suppress(Exception):
        heading = told.partition("\n")[0] if late else told
        _logger.error("%s: a further failure: %s", name, heading, exc_info=None if late else error)
