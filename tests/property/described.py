"""Descriptions of definitions: data that the reference model reads and that definitions are built from.

What a stage does with an item is a pure function of the item here, so that the model and
the flow cannot disagree about anything but what the library adds: who gets what, how
often, in which order, and what becomes of what fails.
"""

from __future__ import annotations

import dataclasses
import textwrap
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

ALWAYS = 99
"""As a number of attempts that fail: all of them."""

UNSET = "unset"
"""As the initial state of a scan: there is none."""


def weight(item, salt=0):
    """A number that depends on nothing but the item, the same in every process."""
    return zlib.crc32(f"{salt} {item!r}".encode())


class Readable:
    """Its repr has the fields that are not at their default, as it would be written."""

    def __repr__(self):
        shown = ", ".join(
            f"{each.name}={getattr(self, each.name)!r}"
            for each in dataclasses.fields(self)
            if getattr(self, each.name) != each.default
        )
        return f"{type(self).__name__}({shown})"


@dataclass(frozen=True, repr=False)
class Options(Readable):
    """How a stage works, whatever it does.

    ``world`` is where: coroutine, inline, thread or process. ``pace`` is the most virtual
    seconds that it sleeps over an item. Of one item in three the first ``fails`` attempts
    raise. ``letters`` is the name of a dead-letter sink, which several stages may share.
    """

    world: str = "coroutine"
    concurrency: int = 1
    ordered: bool = True
    keyed: bool = False
    buffer: int = 128
    overflow: str = "block"
    pace: int = 0
    rate: int | None = None
    fails: int = 0
    attempts: int = 1
    timeout: float | None = None
    on_error: str = "fail"
    letters: str = "x"

    def key(self, item):
        return weight(item, "key") % 3

    def delay(self, item):
        return weight(item, "delay") % (self.pace + 1)

    def mishap(self, item, attempt):
        """The name of what this attempt ends in; ``None`` where it is the result."""
        if attempt <= self.fails and weight(item, "fails") % 3 == 0:
            return "ScriptedError"
        if self.timeout is not None and self.delay(item) > self.timeout:
            return "StageTimeoutError"
        return None

    @property
    def keeps_order(self):
        return self.concurrency == 1 or (self.ordered and not self.keyed)

    @property
    def keeps_count(self):
        return self.on_error == "fail" and self.overflow in ("block", "fail")


@dataclass(frozen=True, repr=False)
class Source(Readable):
    """A generator at some pace.

    Behind its last item it ends, breaks (off, with an error) or stays (and makes no more);
    or it is a function, called once. ``world`` may also be an iterable, read in a thread.
    """

    items: tuple[Any, ...]
    pace: int = 0
    kind: str = "ends"
    world: str = "coroutine"

    def delay(self, number):
        return number % (self.pace + 1)


@dataclass(frozen=True, repr=False)
class Work(Readable):
    """A function of one item with its options."""

    salt: int = 0
    options: Options = Options()
    many: ClassVar[bool] = False

    def mishap(self, item, attempt):
        return self.options.mishap(item, attempt)


@dataclass(frozen=True, repr=False)
class Map(Work):
    """One item from each."""

    kind: str = "tag"

    def made(self, item):
        if self.kind == "tag":
            return (self.salt, item)
        if self.kind == "void":
            return None if weight(item, self.salt) % 3 == 0 else item
        if self.kind == "size":
            return weight(item, self.salt) % 4
        if self.kind == "parts":
            return tuple((part, item) for part in range(weight(item, self.salt) % 3))
        return item


@dataclass(frozen=True, repr=False)
class Expand(Work):
    """A generator: any number of items from each; with ``late``, some raise behind their first."""

    least: int = 0
    late: bool = False
    many: ClassVar[bool] = True

    def made(self, item):
        count = self.least + weight(item, self.salt) % 3
        return [(self.salt, part, item) for part in range(count)]

    def breaks(self, item):
        return self.late and bool(self.made(item)) and weight(item, "late") % 4 == 0


@dataclass(frozen=True, repr=False)
class Filter(Work):
    """The items of which an answer is true, which need not be a bool: with ``itself``, the item."""

    itself: bool = False

    def answer(self, item):
        return item if self.itself else weight(item, self.salt) % 3


@dataclass(frozen=True, repr=False)
class Flatten(Work):
    """The members of each item."""

    many: ClassVar[bool] = True


@dataclass(frozen=True, repr=False)
class Scan(Readable):
    """A fold; ``world`` is where its function runs."""

    initial: Any = UNSET
    world: str = "coroutine"
    buffer: int = 128

    @staticmethod
    def fold(state, item):
        return weight((state, item)) % 1000


@dataclass(frozen=True, repr=False)
class Batch(Readable):
    """Lists."""

    size: int
    buffer: int = 128


@dataclass(frozen=True, repr=False)
class Lots(Readable):
    """Lists, by size and maybe by time, which are looked at and taken apart again."""

    size: int
    seconds: float | None = None
    buffer: int = 128
    overflow: str = "block"


@dataclass(frozen=True, repr=False)
class Take(Readable):
    """The first few."""

    count: int
    buffer: int = 128


@dataclass(frozen=True, repr=False)
class Until(Readable):
    """Those before the first of some weight."""

    salt: int = 0
    world: str = "inline"
    inclusive: bool = False
    buffer: int = 128

    def says(self, item):
        return weight(item, self.salt) % 3 == 0


@dataclass(frozen=True, repr=False)
class Fork(Work):
    """Which branch of the next group gets what: route, split, partition or balance.

    A route with ``strays`` names a branch that is not there for some items.
    """

    kind: str = "route"
    strays: bool = False
    by_name: bool = False

    def mishap(self, item, attempt):
        return super().mishap(item, attempt) or ("UnknownBranchError" if self.is_stray(item) else None)

    def is_stray(self, item):
        return self.strays and weight(item, "strays") % 4 == 0

    def places(self, item, count):
        """Of a route."""
        chosen = weight(item, self.salt) % 2**count
        return [place for place in range(count) if chosen >> place & 1]

    def part(self, item, place):
        """Of a split."""
        return item if weight(item, self.salt) % 2 else (place, item)

    def key(self, item):
        """Of a partition."""
        return weight(item, self.salt) % 5


@dataclass(frozen=True, repr=False)
class Group(Readable):
    """Branches, each a tuple of steps, written as a tuple, set or dict."""

    branches: tuple[tuple[Any, ...], ...]
    kind: str = "tuple"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Join(Readable):
    """What takes the branches: merge, zip_, rows (by signature), combine_latest or concat.

    ``parameters`` are those of rows: in the order of the branches or, ``by_name``, called like
    them and written the other way round.
    """

    kind: str
    uneven: str = "error"
    parameters: tuple[str, ...] = ()
    by_name: bool = False
    buffer: int = 128


@dataclass(frozen=True, repr=False)
class Inner(Readable):
    """Steps within the steps, as a list or a DataFlow of its own."""

    steps: tuple[Any, ...]
    how: str = "list"


@dataclass(frozen=True, repr=False)
class Broken(Readable):
    """What must be refused."""

    what: str
    arguments: int = 0


class Definition:
    """Steps, which is all of it; written out over lines, for whoever has to read a failure."""

    def __init__(self, steps):
        self.steps = tuple(steps)

    def __repr__(self):
        return written(self.steps)

    def has(self, *kinds):
        return any(isinstance(each, kinds) for each in all_steps(self.steps))

    @property
    def is_broken(self):
        return self.has(Broken)


def all_steps(steps):
    """The steps at any depth, groups and what is in them included."""
    for step in steps:
        yield step
        if isinstance(step, Group):
            for branch in step.branches:
                yield from all_steps(branch)
        if isinstance(step, Inner):
            yield from all_steps(step.steps)


def written(steps):
    lines = "".join(f"{textwrap.indent(_line(step), '  ')},\n" for step in steps)
    return f"(\n{lines})"


def _line(step):
    if isinstance(step, Inner):
        return f"{step.how} {written(step.steps)}"
    if not isinstance(step, Group):
        return repr(step)
    names = step.names or ("branch",) * len(step.branches)
    branches = "".join(
        f"{textwrap.indent(f'{name}: {written(branch)}', '  ')},\n"
        for name, branch in zip(names, step.branches, strict=True)
    )
    return f"{step.kind} of\n{branches}".rstrip().rstrip(",")
