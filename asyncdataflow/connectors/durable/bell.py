"""Bell: between the ends of a buffer in one program, so that nobody waits for a poll."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

__all__ = ("Bell",)


class Bell:
    """Rings on every loop where somebody listens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[object, tuple[asyncio.AbstractEventLoop, Callable[[], object]]] = {}

    def ring(self) -> None:
        """Have everybody look."""
        with self._lock:
            listeners = list(self._listeners.values())
        for loop, look in listeners:
            # A loop that is closed has nobody who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(look)

    @contextlib.contextmanager
    def heard(self, look: Callable[[], object]) -> Iterator[None]:
        """Listen, on the running loop, meanwhile."""
        who = object()
        with self._lock:
            self._listeners[who] = asyncio.get_running_loop(), look
        try:
            yield
        finally:
            with self._lock:
                del self._listeners[who]
