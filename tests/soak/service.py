"""A service, seen from outside: started, sampled, sent signals, and started again."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.delivery.outside import until
from tests.chaos.delivery.routes import Place, Route
from tests.servers import Started, lives
from tests.source import ROOT

from .sample import Sample, faults_of, taken

__all__ = ("Life", "Service")

_NEVER_SAID = re.compile(r"hunter2|never retrieved|never awaited|but it is pending|ResourceWarning|Traceback")
_MOST_FAULTS = 5
_LINES_TOLD = 25


@dataclass
class Life:
    """One process of a service, from its start to its end.

    Attributes:
        process: It.
        samples: How it was, every second or so.
        expected: Its end is one that somebody has asked for.
    """

    process: subprocess.Popen[bytes]
    samples: list[Sample] = field(default_factory=list)
    expected: bool = False
    reader: threading.Thread | None = None


class Service:
    """One service, and all its lives.

    Args:
        name: What the report calls it.
        route: What it runs.
        place: Where.
        began: When the soak began, by the monotonic clock.
        every: Seconds between two samples.
        leak: Bytes of each item that it is to keep, to see that this is found.
        tell: Given a line for each fault, at once.
        started: Told of each of its processes.

    Attributes:
        lives: Its lives, the last one being the present.
        faults: What went wrong.
        ends: How its lives have ended, in words.
    """

    def __init__(
        self,
        name: str,
        route: Route,
        place: Place,
        *,
        began: float,
        every: float,
        leak: int,
        tell: Callable[[str], None],
        started: Started,
    ) -> None:
        self.name = name
        self.route = route
        self.place = place
        self.lives: list[Life] = []
        self.faults: list[str] = []
        self.ends: list[str] = []
        self.unbalanced = 0
        self._began = began
        self._tell = tell
        self._started = started
        self._arguments = json.dumps([route.name, dataclasses.asdict(place), every, leak])
        self._log = Path(place.folder, "log")

    @property
    def life(self) -> Life:
        """The present one."""
        return self.lives[-1]

    @property
    def said(self) -> str:
        """What it wrote to stderr."""
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        """Start it; it is ready when it has said how it is."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.child", self._arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C goes to its whole group, and only to that.
            )
        self._started(process, signal.SIGKILL)
        life = Life(process)
        life.reader = threading.Thread(target=self._read, args=[life], name=f"read {self.name}")
        self.lives.append(life)
        life.reader.start()

    def wait_until_ready(self) -> None:
        """Wait until it has said how it is, or has ended."""
        life = self.life
        until(f"{self.name} is ready", lambda: bool(life.samples) or life.process.poll() is not None)

    def signal(self, numbers: Collection[signal.Signals], codes: Collection[int]) -> None:
        """Send it signals one after the other, wait until it has ended, and start it again.

        Args:
            numbers: Which.
            codes: How it may end.
        """
        life, children = self.life, self.workers()
        life.expected = True
        for number in numbers:
            # Ctrl-C comes to the whole group; a manager's SIGTERM only to the first process of it.
            send = os.killpg if number is signal.SIGINT else os.kill
            send(life.process.pid, number)
            time.sleep(0.01)
        self._end(life, children, codes, "+".join(each.name for each in numbers))
        self.start()
        self.wait_until_ready()

    def stop(self) -> None:
        """Drain it, for good."""
        life, children = self.life, self.workers()
        life.expected = True
        life.process.send_signal(signal.SIGTERM)
        self._end(life, children, {0}, "SIGTERM at the end")

    def kill(self) -> None:
        """However it is, nothing of it is left."""
        for life in self.lives:
            if life.process.poll() is None:
                with suppress(psutil.NoSuchProcess):
                    for each in psutil.Process(life.process.pid).children(recursive=True):
                        each.kill()
                life.process.kill()
                life.process.wait()
            if life.reader is not None:
                life.reader.join()
            assert life.process.stdout is not None
            life.process.stdout.close()

    def kill_worker(self) -> None:
        """``kill -9`` one of its worker processes; it goes on with another."""
        workers = [each for each in self.workers() if _is_worker(each)]
        for each in workers[:1]:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def workers(self) -> list[psutil.Process]:
        """Its processes, but the first."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.life.process.pid).children(recursive=True)
        return []

    def look(self) -> None:
        """Note and start again, as a service manager does, what has ended without being asked to."""
        life = self.life
        code = life.process.poll()
        if code is not None and not life.expected:
            self.ends.append(f"by itself: {code}")
            self._fault(f"it ended by itself with {code}:\n{self.said[-3000:]}")
            self.start()
            self.wait_until_ready()

    def check_said(self) -> None:
        """Nothing that should never be said was."""
        lines = self.said.splitlines()
        bad = [number for number, line in enumerate(lines) if _NEVER_SAID.search(line)]
        if bad:
            such = "\n".join(lines[bad[0] : bad[0] + _LINES_TOLD])
            self._fault(f"it said what should never be said in {len(bad)} lines, such as\n{such}")

    def _end(self, life: Life, children: list[psutil.Process], codes: Collection[int], how: str) -> None:
        try:
            code = life.process.wait(60)
        except subprocess.TimeoutExpired:
            self._fault(f"{how}: it does not end:\n{self.said[-3000:]}")
            life.process.kill()
            code = life.process.wait()
        self.ends.append(f"{how}: {code}")
        if code not in codes:
            self._fault(f"{how}: it ended with {code}:\n{self.said[-3000:]}")
        try:
            until("nothing of it is left", lambda: not any(map(lives, children)))
        except AssertionError:
            self._fault(f"{how}: left behind: {[each for each in children if lives(each)]}")
            for each in children:
                with suppress(psutil.NoSuchProcess):
                    each.kill()

    def _read(self, life: Life) -> None:
        assert life.process.stdout is not None
        process = psutil.Process(life.process.pid)
        for line in life.process.stdout:
            sample = taken(time.monotonic() - self._began, line, process)
            if sample is None:
                continue
            life.samples.append(sample)
            wrong = faults_of(sample)
            self.unbalanced += bool(wrong)
            for each in wrong:
                self._fault(f"after {sample.at:.0f} s, {sample.state}: {each}")

    def _fault(self, told: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(f"{self.name}: {told}")
            self._tell(f"{time.monotonic() - self._began:6.0f} s  fault of {self.name}: {told[:200]}")


def _is_worker(process: psutil.Process) -> Any:
    with suppress(psutil.NoSuchProcess):
        return any("--multiprocessing-fork" in each for each in process.cmdline())
    return False
