"""What is put in: at a steady rate, and after an outage all that has gathered meanwhile at once."""

from __future__ import annotations

import threading
import time

from tests.chaos.delivery.feeds import feed_of
from tests.chaos.delivery.routes import Place, Route

__all__ = ("Load",)

_PAUSE = 0.05
_MOST_AT_ONCE = 200
_SIZE = 100


class Load:
    """Feeds one service, in a thread.

    Args:
        route: Its route.
        place: Where.
        rate: Items a second.

    Attributes:
        put: How many items are put in.
    """

    def __init__(self, route: Route, place: Place, rate: float) -> None:
        self.put = 0
        self._feed = feed_of(route, place, _SIZE)
        self._rate = rate
        self._enough = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"load {place.name}")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Put nothing in any more."""
        self._enough.set()
        if self._thread.ident is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise what putting in has raised."""
        if self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        began = time.monotonic()
        try:
            while not self._enough.wait(_PAUSE):
                due = int((time.monotonic() - began) * self._rate) - self.put
                count = min(due, _MOST_AT_ONCE)
                if count > 0:
                    self._feed.put(range(self.put, self.put + count))
                    self.put += count
        except BaseException as error:  # noqa: BLE001 - raised by whoever checks
            self._failed = error
        finally:
            self._feed.close()
