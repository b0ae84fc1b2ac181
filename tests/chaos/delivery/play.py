"""One play of a route: it is fed and killed, started again and let finish, all from outside."""

from __future__ import annotations

import random
import signal
import threading
from dataclasses import dataclass, field
from typing import Any

from .feeds import Feed, feed_of
from .outside import child, until, wait
from .routes import WINDOW, Place, Route
from .stores import make_store, stored
from .verdict import Verdict, judged

__all__ = ("Play", "play")

_LONGEST_LIFE = 0.3
_LONGEST_START = 0.8
_LONGEST_END = 0.1
_LONGEST_PAUSE = 0.02
_MOST_AT_ONCE = 8
_AT_FIRST = 200


@dataclass
class Play:
    """A route that is fed, for as long as it is entered.

    Args:
        route: Which.
        place: Where.
        rng: For all that is at random.
        size: Characters of text of an item.
        steady: Seconds at most between two times that something is put in; 0: only at first.

    Attributes:
        feed: Its input.
        put: How many items are put in.
    """

    route: Route
    place: Place
    rng: random.Random
    size: int = 20
    steady: float = _LONGEST_PAUSE
    put: int = 0
    _enough: threading.Event = field(default_factory=threading.Event)
    _failed: BaseException | None = None

    def __enter__(self) -> Play:
        make_store(self.route, self.place)
        self.feed: Feed = feed_of(self.route, self.place, self.size)
        self._own = random.Random(self.rng.random())
        self._thread = threading.Thread(target=self._feed, name="feed")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def stop_feeding(self) -> None:
        """Put nothing in any more.

        Raises:
            BaseException: What putting in has raised.
        """
        self._enough.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    def child(self, *before: str, **options: Any) -> Any:
        """A process that runs the route."""
        return child(self.route, self.place, *before, **options)

    def check_acked(self) -> None:
        """What is acked is stored, and little else is."""
        acked = self.feed.acked()
        there = {row[0] for row in stored(self.route, self.place)}
        missing = acked - there
        assert not missing, f"{len(missing)} acked and not stored, such as {min(missing)}"
        # Others give what a killed one had only later again, or may have done much behind a gap.
        if self.route.source == "lines" and self.route.effect != "idempotent":
            assert len(there - acked) <= WINDOW, f"{len(there - acked)} stored and not acked"

    def finish(self) -> Verdict:
        """Run it until all is acked, and judge."""
        self.stop_feeding()
        with self.child() as last:
            last.wait_until_open()
            until(
                "all is acked",
                lambda: last.process.poll() is not None or len(self.feed.acked()) == self.put,
            )
            last.finish()
        return self.verdict()

    def verdict(self) -> Verdict:
        """As it is now, nobody writing."""
        return judged(range(self.put), stored(self.route, self.place, finished=True))

    def _feed(self) -> None:
        try:
            self._put(_AT_FIRST)
            while self.steady and not self._enough.wait(self._own.uniform(0, self.steady)):
                self._put(self._own.randint(1, _MOST_AT_ONCE))
        except BaseException as error:  # noqa: BLE001 - raised by whoever stops it
            self._failed = error
        finally:
            self.feed.close()

    def _put(self, count: int) -> None:
        self.feed.put(range(self.put, self.put + count))
        self.put += count


def play(route: Route, place: Place, *, kills: int, seed: int) -> Verdict:
    """Kill a route so often, each time at a random moment; then let it finish.

    Raises:
        AssertionError: It hung, failed, left a process behind, or had acked what it had not stored.
    """
    rng = random.Random(seed)
    with Play(route, place, rng) as playing:
        lives = killed = 0
        while killed < kills:
            killed += _live(playing, lives % 6)
            lives += 1
            if route.delivery is None:
                playing.check_acked()
        return playing.finish()


def _live(playing: Play, way: int) -> bool:
    """One life of the program; whether it was killed, or had finished before."""
    with playing.child() as started:
        if way == 5:
            wait(playing.rng.uniform(0, _LONGEST_START))  # perhaps before there is any item
        else:
            started.wait_until_at_work()
            wait(playing.rng.uniform(0, _LONGEST_LIFE))
        if way == 4:
            started.process.send_signal(signal.SIGTERM)
            wait(playing.rng.uniform(0, _LONGEST_END))
        return bool(started.kill(finishing=way == 4))
