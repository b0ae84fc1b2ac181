"""Restarts: whether a source that has failed is opened anew, and when."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from typing import Any, Final

from ..errors import ConnectorSetupError, SourceChangedError, StorageBusyError, StorageError
from ..naming import annotate, describe_error
from ..stage import Stage

__all__ = ("Restarts",)

_logger = logging.getLogger("asyncdataflow")

_STAYS: Final = (
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError),
    *(TypeError, ValueError, LookupError, AttributeError, NameError, ImportError, NotImplementedError),
    *(StorageError, ConnectorSetupError),
)
"""What no wait mends: wrong paths, missing rights, mistakes in what was written."""

_NEVER_OPEN: Final = (
    "it could never be opened, and no wait mends that; "
    "with stage(source, restart=Restart(on=…)) it is waited for"
)


class Restarts:
    """Of one source.

    Args:
        stage: The source's stage.

    Attributes:
        failure: The source's own failure, after which it is to be opened anew.
        was_open: It could be opened once.
    """

    def __init__(self, stage: Stage[Any, Any]) -> None:
        self._name = stage.title
        self._policy = stage.restart
        self._failed_at: deque[float] = deque()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.Future[None] | None = None
        self._over = False
        self.failure: Exception | None = None
        self.was_open = False

    @property
    def patience(self) -> float:
        """Seconds that what it has given has to be settled."""
        return 0.0 if self._policy is None else self._policy.settle

    @property
    def is_over(self) -> bool:
        """Nothing more is wanted of it."""
        return self._over

    def also(self, error: Exception) -> None:
        """What was raised on the way out of a session that has failed."""
        if self.failure is not None and error is not self.failure:
            annotate(self.failure, f"and then, on the way out: {describe_error(error)}")

    def take_failure(self) -> Exception:
        """The failure, which stands after all."""
        failure, self.failure = self.failure, None
        assert failure is not None, "noted"  # noqa: S101 - for the type checker
        return failure

    def forget(self) -> None:
        """The failure does not matter: nothing more is wanted of the source."""
        failure = self.take_failure()
        _logger.warning("%s: the source has failed, and was to end: %s", self._name, describe_error(failure))

    def end(self) -> None:
        """Nothing more is wanted of it: it is not opened any more."""
        self._over = True
        self._wake()

    def note(self, error: Exception) -> bool:
        """The source has failed; whether it is to be opened anew. False: the failure stands.

        A session fails once, whatever else it raises until it is left.
        """
        if self.failure is not None:
            self.also(error)
            return True
        policy = self._policy
        if policy is None or self._over or not isinstance(error, policy.on):
            return False
        if policy.on is Exception and self._stays(error):
            return False
        now = self._loop.time()
        self._failed_at.append(now)
        while self._failed_at[0] <= now - policy.within:
            self._failed_at.popleft()
        if policy.attempts is not None and len(self._failed_at) > policy.attempts:
            annotate(error, f"it was opened anew {policy.attempts} times within {policy.within} s")
            return False
        self.failure = error
        return True

    async def pause(self) -> bool:
        """Wait until it is to be opened anew; false where nothing more is wanted of it."""
        if self._over:
            self.forget()
            return False
        failure = self.take_failure()
        assert self._policy is not None, "noted"  # noqa: S101 - for the type checker
        wait = self._policy.wait(len(self._failed_at), random.random())  # noqa: S311 - spreads, guards nothing
        _logger.warning(
            "%s: the source has failed and is opened anew in %.1f s (%s of %s within %s s): %s",
            self._name,
            wait,
            len(self._failed_at),
            self._policy.attempts or "any number",
            self._policy.within,
            describe_error(failure),
        )
        del failure
        self._pause = self._loop.create_future()
        timer = self._loop.call_later(wait, self._wake)
        try:
            await self._pause
        finally:
            timer.cancel()
        return not self._over

    def _stays(self, error: Exception) -> bool:
        """Whether what it has met will be there at the next opening as well."""
        if isinstance(error, SourceChangedError):
            # What was read up to does not come back: opened anew it fails again, or skips what lies between.
            return True
        if self.was_open or isinstance(error, StorageBusyError) or not isinstance(error, _STAYS):
            return False
        annotate(error, _NEVER_OPEN)
        return True

    def _wake(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)
