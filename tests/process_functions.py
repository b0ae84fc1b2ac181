"""What worker processes run in tests: importable, and light to import."""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from asyncdataflow import stage


class TwoArgumentsError(Exception):
    """Cannot be made of its ``args``: one argument is kept, two are needed."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class HoldsALockError(Exception):
    """Cannot be pickled as a whole."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class UnpicklableError(Exception):
    def __reduce__(self):
        raise TypeError("not me")


class TextlessError(Exception):
    def __str__(self):
        raise ValueError("no text either")


class HomeboundError(Exception):
    """Can be loaded only in the process that made it."""

    def __reduce__(self):
        return (_load, (os.getpid(),))


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """Takes no traceback and no note by assignment."""

    text: str


class Unloadable:
    """Can be pickled and not be loaded anywhere."""

    def __reduce__(self):
        return (_refuse, ())


class Unpicklable:
    def __reduce__(self):
        raise TypeError("has a lock")


def _load(made_in):
    if os.getpid() != made_in:
        raise ImportError("known only where it was made")
    return HomeboundError("loaded")


def _refuse():
    raise ValueError("cannot be loaded")


def pid():
    return os.getpid()


def same(item):
    return item


def square(item):
    return item * item


def with_pid(item):
    return item, os.getpid()


def throw(error, *args):
    raise error(*args)


def throw_local():
    class LocalError(Exception):
        pass

    raise LocalError("mine")


class Deadly:
    """Ends whatever process loads it."""

    def __reduce__(self):
        return (die, ())


def throw_deadly():
    error = TwoArgumentsError(1, "deadly")
    error.held = Deadly()
    raise error


def throw_code(path, code):
    """What a user's own exception says of an attempt, each of which is noted."""
    note(path, code)
    raise TwoArgumentsError(code, "busy")


def make(kind, *args):
    return kind(*args)


def generator():
    yield 1


def die(how=None):
    if how is None:
        os._exit(7)
    os.kill(os.getpid(), how)
    wait_for_ever()


def wait_for_ever():
    while True:
        time.sleep(1000)


def say_and_wait(path):
    Path(path).touch()
    wait_for_ever()


def die_once(path):
    """The first call ends the process, the second answers."""
    try:
        Path(path).touch(exist_ok=False)
    except FileExistsError:
        return "alive"
    return die(signal.SIGKILL)


def note_and_die(path):
    with Path(path).open("a") as file:
        file.write("called\n")
    die()


def sigint_mask():
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT)


def perform(function, *args):
    """One function for all of the above, so that one process serves many tests."""
    return globals()[function](*args)


def count_to(last, closed=None):
    try:
        yield from range(last)
    finally:
        if closed is not None:
            Path(closed).touch()


def items_of(items):
    """Yields what it is given; a callable is called with nothing instead."""
    for item in items:
        yield item() if callable(item) else item


def fail_on_closing():
    try:
        yield 1
        yield 2
    finally:
        raise OSError("disk full")


def dying_iterator(before, path=None):
    """Ends the process behind ``before`` items; with ``path`` only the first time."""
    yield from range(before)
    if path is None:
        die()
    die_once(path)
    yield "alive"


def iterate(function, *args):
    """As ``perform``, for generators; a plain call where the function is none."""
    return globals()[function](*args)


class Own:
    """Something that each process has of its own; writes how it was left."""

    path = None

    def __enter__(self):
        return os.getpid()

    def __exit__(self, *details):
        if self.path is not None:
            Path(self.path).write_text(repr(details))


def own_in(path):
    made = Own()
    made.path = path
    return made


class FailsOnLeaving(Own):
    def __exit__(self, *details):
        raise OSError("disk full")


class NeverLeft(Own):
    def __exit__(self, *details):
        wait_for_ever()


def with_own(item, *, own):
    return item, own, os.getpid()


def raise_value_error():
    raise ValueError("cannot be made")


@stage(executor="process", concurrency=2)
def decorated(item):
    return item + 1


@stage
def decorated_source(limit):
    yield from range(limit)


def modules_loaded():
    return "pytest" in sys.modules


def slowly_with_pid(item):
    time.sleep(0.002)
    return item, os.getpid()


def note(path, what=None):
    """Write down that it was called, and return that."""
    with Path(path).open("a") as file:
        file.write(f"{what}\n")
    return what


def note_and_raise(path, what):
    note(path, what)
    raise ValueError(what)


def note_and_die_once(path, what, mark):
    """Ends the process by SIGKILL, the first time."""
    note(path, what)
    return die_once(mark) and what


def note_and_die_always(path, what):
    note(path, what)
    die(signal.SIGKILL)


def note_size(path, data):
    return note(path, len(data))


def die_of(data):
    die(signal.SIGKILL)


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.001)
    return path


class Shared(list):
    """Tells apart one object from two that are equal."""


def grow(shared):
    shared.append(None)
    return len(shared)


_THE_SAME = Shared()


def the_same():
    return _THE_SAME


def peak_memory():
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
