"""The parent: holds each run of a child process to a deadline, and kills what exceeds it."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .case import INTERRUPTED
from .leaks import processes_of_group
from .oracle import DIED, HUNG, LEAKED, SWALLOWED, Verdict

ROOT: Final = Path(__file__).resolve().parents[2]
STARTING: Final = 60.0
"""Seconds until a child has said something; loading a package is no part of a run."""


@dataclass(frozen=True)
class Package:
    """A package under test: the interpreter that has it, and the module with its flow."""

    name: str
    module: str
    python: str = sys.executable


@dataclass(frozen=True)
class Patience:
    """Seconds for one run, and for what it leaves to go away."""

    deadline: float = 10.0
    grace: float = 2.0


@dataclass
class Child:
    """A child process and what it has said so far."""

    process: subprocess.Popen[bytes]
    verdicts: list[Verdict] = field(default_factory=list)
    begun: int | None = None
    done: bool = False
    unread: bytes = b""


def run_child(
    package: Package, flow: str, numbers: range, patience: Patience, *, show: bool = False
) -> list[Verdict]:
    """Have a child do runs; a verdict for each that it came to, at least one, in their order."""
    command = (
        package.python,
        *("-m", "torture.child", package.module, flow),
        *(str(numbers.start), str(len(numbers)), str(patience.grace)),
    )
    with start(command, show=show) as process:
        child = Child(process)
        try:
            listen(child, flow, patience)
            end(child, flow, patience)
        finally:
            kill_group(process)
    return child.verdicts


def start(command: Sequence[str], *, show: bool = False) -> subprocess.Popen[bytes]:
    """A child in a process group of its own, so that all that it starts can be killed with it."""
    told = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join((str(ROOT / "benchmarks"), str(ROOT), *filter(None, [told])))
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=None if show else subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


def listen(child: Child, flow: str, patience: Patience) -> None:
    """Hear the child out, until it is done, has ended, or is late."""
    assert child.process.stdout is not None  # noqa: S101 - for the types: it was started with a pipe
    late = time.monotonic() + STARTING
    with selectors.DefaultSelector() as selector:
        selector.register(child.process.stdout, selectors.EVENT_READ)
        while not child.done:
            # Not for the end of the file alone: processes that the child left may hold the pipe open.
            ended = child.process.poll() is not None
            if selector.select(0.05):
                read = os.read(child.process.stdout.fileno(), 65536)
                if not read:
                    return
                for message in lines(child, read):
                    late = time.monotonic() + patience.deadline + 2 * patience.grace
                    hear(child, message)
            elif ended:
                return
            elif time.monotonic() > late:
                if child.begun is None:
                    raise RuntimeError(f"{child.process.args!r} has begun no run in {STARTING:g} s")
                child.verdicts.append(Verdict((HUNG,), f"{HUNG}: no end in {patience.deadline:g} s"))
                child.begun = None
                kill_group(child.process)
                return


def lines(child: Child, read: bytes) -> list[dict[str, Any]]:
    """The messages that are complete."""
    *complete, child.unread = (child.unread + read).split(b"\n")
    return [json.loads(each) for each in complete]


def hear(child: Child, message: dict[str, Any]) -> None:
    """Take in one message."""
    match message["what"]:
        case "begin":
            child.begun = message["number"]
        case "middle":
            os.kill(child.process.pid, signal.SIGINT)
        case "end":
            child.begun = None
            child.verdicts.append(Verdict(tuple(message["words"]), message["detail"]))
        case "done":
            child.done = True


def end(child: Child, flow: str, patience: Patience) -> None:
    """Judge how the child ended, which counts for its last run."""
    try:
        code = child.process.wait(patience.deadline)
    except subprocess.TimeoutExpired:
        blame(child, HUNG, "the process did not exit")
        return
    if child.begun is not None:
        child.verdicts.append(Verdict((DIED,), f"{DIED}: the process ended with code {code} in the run"))
    elif not child.verdicts:
        raise RuntimeError(f"{child.process.args!r} ended with code {code} before its first run")
    elif child.done and flow == INTERRUPTED and code != -signal.SIGINT:
        blame(child, SWALLOWED, f"the process exited with code {code}, not by SIGINT")
    until = time.monotonic() + patience.grace
    while left := processes_of_group(child.process.pid):
        if time.monotonic() > until:
            blame(child, LEAKED, f"{len(left)} processes outlive the one that started them")
            return
        time.sleep(0.02)


def blame(child: Child, word: str, detail: str) -> None:
    """Add to what is wrong with the child's last run; a run that is already wrong stays as it is."""
    last = child.verdicts[-1]
    if not last.words:
        child.verdicts[-1] = Verdict((word,), f"{word}: {detail}")


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the child, if it lives, and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
