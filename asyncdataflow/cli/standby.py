"""Signals that come to ``run`` while no service takes them: before it does, and after it has."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TypeVar

from ..serving.signals import Signals, may_be_taken
from .failure import INTERRUPTED

__all__ = ("Standby",)

T = TypeVar("T")


class Standby:
    """Takes SIGTERM and Ctrl-C from now to the end of the program, wherever a service does not.

    One that comes while the flow is loaded ends that; one that comes behind it is passed on to the
    service; one that comes at the end changes nothing. The third ends the program at once all the same.
    They are not given back here: by default the last one would kill what is done already. ``main`` does,
    where it was called within a program that goes on.
    """

    def __init__(self) -> None:
        self._came: list[signal.Signals] = []
        self._is_loading = False
        Signals(self._tell, taken=may_be_taken()).__enter__()

    @property
    def code(self) -> int:
        """The exit code of a program that was ended before it served."""
        return INTERRUPTED if self._came[:1] == [signal.SIGINT] else 0

    def load(self, make: Callable[[], T]) -> T | None:
        """What is made; ``None`` where a signal has come by then, whatever the user's own code makes of it.

        Raises:
            BaseException: What ``make`` raises by itself.
        """
        made = None
        try:
            self._is_loading = True
            if not self._came:
                made = make()
            self._is_loading = False
        except BaseException:
            self._is_loading = False
            if not self._came:
                raise
        return None if self._came else made

    def pass_on(self, *_: object) -> None:
        """Give what has come meanwhile to whoever takes signals now."""
        came, self._came = self._came, []
        for each in came:
            signal.raise_signal(each)

    def _tell(self, number: signal.Signals) -> None:
        self._came.append(number)
        if self._is_loading:
            raise KeyboardInterrupt
