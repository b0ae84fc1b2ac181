"""One play of a route: it is fed and killed, started again and let finish, all from outside."""

from __future__ import annotations

import dataclasses
import json
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.servers import lives
from tests.source import ROOT

from .feeds import Feed, feed_of
from .routes import Place, Route
from .stages import expected
from .stores import make_store, stored

__all__ = ("PATIENCE", "Child", "Play", "Verdict", "child", "judged", "play", "until", "wait")

PATIENCE = 30.0
"""Seconds after which whoever waits says that it hangs."""
_LONGEST_LIFE = 0.3
_LONGEST_START = 0.8
_LONGEST_PAUSE = 0.02
_MOST_AT_ONCE = 8
_AT_FIRST = 200


def until(what: str, holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Look until it holds.

    Raises:
        AssertionError: It never does.
    """
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, f"it hangs: {what} is not so after {patience:g} s"
        time.sleep(0.1)


class Child:
    """The process that is killed, with those that it starts.

    Attributes:
        process: The process.
    """

    def __init__(self, process: subprocess.Popen[bytes], errors: Any) -> None:
        self.process = process
        self._errors = errors

    @property
    def errors(self) -> str:
        """What it wrote to stderr."""
        self._errors.seek(0)
        return str(self._errors.read().decode(errors="replace"))

    def wait_until_at_work(self) -> None:
        """Wait until the first item has come to it.

        Raises:
            AssertionError: It ended before, or nothing came.
        """
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        said = self.process.stdout.readline() if ready and self.process.stdout is not None else b""
        assert said, f"it did not come to work:\n{self.errors}"

    def workers(self) -> list[psutil.Process]:
        """What it has started, down to the last."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def kill(self) -> None:
        """``kill -9``; what it has started ends by itself.

        Raises:
            AssertionError: It had ended before, or left a process behind.
        """
        assert self.process.poll() is None, f"it ended by itself:\n{self.errors}"
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        left = _ended(workers)
        assert not left, f"left behind: {left}"

    def finish(self) -> None:
        """Ask it to finish what it has, and wait until it has.

        Raises:
            AssertionError: It says that something went wrong.
        """
        self.process.send_signal(signal.SIGTERM)
        assert self.ended() == 0, f"it did not end well:\n{self.errors}"

    def ended(self) -> int:
        """Wait until it has ended by itself: its exit status."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.errors}") from None


@contextmanager
def child(route: Route, place: Place, *before: str, **options: Any) -> Iterator[Child]:
    """Start a process that runs the route; it is gone at the end, however that comes.

    Args:
        route: Which.
        place: Where.
        before: The beginning of the command, such as strace.
        options: For ``Popen``.
    """
    arguments = json.dumps([route.name, dataclasses.asdict(place)])
    command = [*before, sys.executable, "-m", "tests.chaos.delivery.child", arguments]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, **options)
        started = Child(process, errors)
        try:
            yield started
            assert "hunter2" not in started.errors, "a password was told"
        finally:
            if process.poll() is None:
                workers = started.workers()
                process.kill()
                process.wait()
                _ended(workers)
            assert process.stdout is not None
            process.stdout.close()


@dataclass(frozen=True)
class Verdict:
    """What a play came to.

    Attributes:
        items: Put in.
        lost: Put in and not stored.
        duplicated: Stored more often than once, each time counted.
        strange: Stored, and not what it should be.
    """

    items: int
    lost: int
    duplicated: int
    strange: int

    def faults(self, allowed: int) -> list[str]:
        """What is wrong with it, in words.

        Args:
            allowed: Most duplicates.
        """
        said = []
        if self.lost:
            said.append(f"{self.lost} lost")
        if self.duplicated > allowed:
            said.append(f"{self.duplicated} duplicated, and {allowed} allowed")
        if self.strange:
            said.append(f"{self.strange} that nobody has put in")
        return said


def judged(numbers: Iterable[int], rows: Sequence[tuple[Any, ...]]) -> Verdict:
    """What was put in beside what is stored."""
    put = {expected(number) for number in numbers}
    times = Counter(rows)
    strange = sum(count for row, count in times.items() if row not in put)
    known = {row: count for row, count in times.items() if row in put}
    return Verdict(len(put), len(put) - len(known), sum(known.values()) - len(known), strange)


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
        """What is acked is stored, at any time."""
        acked = self.feed.acked()
        missing = acked - {row[0] for row in stored(self.route, self.place)}
        assert not missing, f"{len(missing)} acked and not stored, such as {min(missing)}"

    def finish(self) -> Verdict:
        """Run it until all is acked, and judge."""
        self.stop_feeding()
        with self.child() as last:
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
        for number in range(kills):
            with playing.child() as started:
                if number % 6 == 5:
                    wait(rng.uniform(0, _LONGEST_START))  # perhaps before there is any item
                else:
                    started.wait_until_at_work()
                    wait(rng.uniform(0, _LONGEST_LIFE))
                started.kill()
            if route.delivery is None:
                playing.check_acked()
        return playing.finish()


def _ended(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Wait until they have ended by themselves, and end those that do not; these."""
    end = time.monotonic() + PATIENCE
    while any(map(lives, processes)) and time.monotonic() < end:
        time.sleep(0.002)
    left = [each for each in processes if lives(each)]
    for each in left:
        each.kill()
    return left


def wait(seconds: float) -> None:
    """Let a child do so long what it does."""
    threading.Event().wait(seconds)
