"""Workshop: where threads and processes come from, and what they wait on.

A simulation brings one of its own, whose threads run one at a time and switch only where
these here would wait, so that the same lanes and jobs run under it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ..stage import Stage
from ..when_called import when_called
from .bridge import Inbox, JanusInbox, JanusOutbox, Outbox

if TYPE_CHECKING:
    from .._processes.spawned import Spawned, SpawnedProcess
else:
    SpawnedProcess = when_called("asyncdataflow._processes.spawned", "SpawnedProcess")

__all__ = ("Credits", "Workshop")


class Credits(Protocol):
    """Leave to take items, given on the loop and used up in a thread."""

    def acquire(self) -> object:
        """Called in the thread: wait for one, and use it up."""

    def release(self, n: int = 1) -> object:
        """Give some."""


class Workshop:
    """Real threads, real processes."""

    def inbox(self) -> Inbox[Any]:
        """What is to do, on its way to the threads of a lane."""
        return JanusInbox()

    def outbox(self) -> Outbox[Any]:
        """What was done, on its way back to the loop."""
        return JanusOutbox()

    def credits(self) -> Credits:
        """None yet."""
        return threading.Semaphore(0)

    def thread(self, main: Callable[[], None], name: str) -> threading.Thread:
        """A thread, not started."""
        return threading.Thread(target=main, name=name, daemon=True)

    def spawn(self, stage: Stage[Any, Any], payload: bytes) -> Spawned:
        """A worker process of a stage, started; called in the thread that owns it."""
        return SpawnedProcess(stage.title, payload)

    def prepared(self, stage: Stage[Any, Any], function: Any) -> Any:
        """A stage's function as its workers shall call it, on the loop or in a thread.

        Of a source that is answered it is what opens it.
        """
        return function
