"""Descriptions become definitions for the library, in any of its notations."""

from __future__ import annotations

import asyncio
import functools
import itertools
import operator
from collections import deque
from dataclasses import dataclass
from typing import Any

from asyncdataflow import (
    DataFlow,
    Retry,
    balance,
    batch,
    combine_latest,
    concat,
    dead_letter,
    filter_,
    flatten,
    merge,
    partition,
    route,
    scan,
    split,
    stage,
    take,
    until,
    zip_,
)
from asyncdataflow.stage import Composable, Steps
from tests.property.described import UNSET, Broken, Fork, Group, Inner, all_steps

NOTATIONS = ("tuples", "lists", "pipes", "text")


class ScriptedError(Exception):
    """What stages raise."""


@dataclass(frozen=True)
class Side:
    """A group of what is built."""

    kind: str
    names: tuple[str, ...]
    branches: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Within:
    """Built steps within others."""

    how: str
    steps: tuple[Any, ...]


class Built:
    """A definition of a description, and what its dead-letter sinks were given."""

    def __init__(self, description, notation="tuples"):
        self.letters = []
        self._sinks = {}
        parts = self._parts(description.steps)
        self.names = None
        if notation == "text" and in_text(description.steps):
            self.names = {}
            self.definition = self._text(parts)
        else:
            self.definition = written(parts, notation)

    def flow(self):
        return DataFlow(self.definition, self.names)

    def _parts(self, steps):
        """What is built of steps; a fork has to know the names of the group behind it."""
        made = []
        for step, following in zip(steps, (*steps[1:], None), strict=True):
            if isinstance(step, Group):
                made.append(Side(step.kind, step.names, self._branches(step)))
            elif isinstance(step, Inner):
                made.append(Within(step.how, self._parts(step.steps)))
            elif isinstance(step, Fork):
                made.append(self._fork(step, following))
            else:
                made += MAKE[type(step).__name__](self, step)
        return tuple(made)

    def _branches(self, group):
        branches = [self._parts(branch) for branch in group.branches]
        if group.kind == "set":
            branches = [
                (*parts[:-1], stage(parts[-1], name=name))
                for parts, name in zip(branches, group.names, strict=True)
            ]
        return tuple(branches)

    def _fork(self, step, group):
        names = group.names if isinstance(group, Group) else ()
        count = len(group.branches) if isinstance(group, Group) else 2
        if step.kind == "balance":
            return balance(buffer=step.options.buffer, overflow=step.options.overflow, rate=step.options.rate)
        if step.kind == "partition":
            return partition(self._function(step, step.key), **self._options(step))
        if step.kind == "route":
            return route(self._function(step, functools.partial(chosen, step, names)), **self._options(step))

        def parts(item):
            values = [step.part(item, place) for place in range(count)]
            return dict(zip(names, values, strict=True)) if step.by_name else tuple(values)

        return split(self._function(step, parts), **self._options(step))

    def _source(self, step):
        if step.world == "iterable":
            return [deque(step.items)]
        if step.world in ("thread", "process"):
            function = functools.partial(only_item_of if step.kind == "once" else items_of, step)
            return [stage(function, executor=step.world)]

        async def once():
            await asyncio.sleep(step.pace)
            return step.items[0]

        async def source():
            for number, item in enumerate(step.items):
                if step.delay(number):
                    await asyncio.sleep(step.delay(number))
                yield item
            if step.kind == "breaks":
                raise ScriptedError("the source broke off")
            if step.kind == "stays":
                await asyncio.Event().wait()

        return [stage(once if step.kind == "once" else source)]

    def _map(self, step):
        function = functools.partial(map_elsewhere, step)
        if step.options.world != "process":
            function = self._function(step, step.made)
        return [stage(function, **self._options(step, function=True))]

    def _filter(self, step):
        return [filter_(self._function(step, step.answer), **self._options(step))]

    def _flatten(self, step):
        return [flatten(**self._options(step))]

    def _expand(self, step):
        attempt = Attempts(step)

        async def expand(item):
            attempt(item)
            for number, part in enumerate(step.made(item)):
                if step.options.pace:
                    await asyncio.sleep((step.options.delay(item) + number) % 3)
                yield part
                if step.breaks(item):
                    raise ScriptedError("behind the first")

        worlds = {
            "coroutine": expand,
            "inline": functools.partial(expand_elsewhere, step, attempt),
            "thread": functools.partial(expand_elsewhere, step, attempt),
            "process": functools.partial(expand_elsewhere, step, None),
        }
        return [stage(worlds[step.options.world], **self._options(step, function=True))]

    def _scan(self, step):
        async def fold(state, item):
            await asyncio.sleep(0)
            return step.fold(state, item)

        function = fold if step.world == "coroutine" else step.fold
        initial = () if step.initial == UNSET else (step.initial,)
        where = {"executor": "thread"} if step.world == "thread" else {}
        return [scan(function, *initial, buffer=step.buffer, **where)]

    def _batch(self, step):
        return [batch(step.size, buffer=step.buffer)]

    def _lots(self, step):
        def looked_at(lot):
            assert isinstance(lot, list)
            assert 1 <= len(lot) <= step.size
            return lot

        lots = batch(step.size, step.seconds, buffer=step.buffer, overflow=step.overflow)
        return [lots, stage(looked_at, executor="inline"), flatten()]

    def _take(self, step):
        return [take(step.count, buffer=step.buffer)]

    def _until(self, step):
        return [until(step.says, inclusive=step.inclusive, buffer=step.buffer, executor=step.world)]

    def _join(self, step):
        if step.kind == "merge":
            return [merge(buffer=step.buffer)]
        if step.kind == "concat":
            return [concat(buffer=step.buffer)]
        if step.kind == "zip_":
            return [zip_(uneven=step.uneven, buffer=step.buffer)]
        if step.kind == "rows":
            return [stage(of_parameters(step.parameters, by_name=step.by_name), buffer=step.buffer)]
        return [combine_latest(buffer=step.buffer), batch(10_000), stage(last_row, executor="inline")]

    def _broken(self, step):
        return [broken(step)]

    def _function(self, step, answer):
        """A function that gives an answer of an item, where and when the options say so."""
        attempt = Attempts(step)

        def at_once(item):
            attempt(item)
            return answer(item)

        async def slowly(item):
            attempt(item)
            if step.options.delay(item):
                await asyncio.sleep(step.options.delay(item))
            return answer(item)

        return slowly if step.options.world == "coroutine" else at_once

    def _options(self, step, *, function=False):
        own = step.options
        made = {
            "concurrency": own.concurrency,
            "ordered": own.ordered,
            "key": own.key if own.keyed else None,
            "buffer": own.buffer,
            "overflow": own.overflow,
            "rate": own.rate,
            "retry": Retry(own.attempts, backoff=1.0, jitter=0.0) if own.attempts > 1 else None,
            "timeout": own.timeout,
            "on_error": self._sink(own.letters) if own.on_error == "letters" else own.on_error,
        }
        if own.world in ("thread", "process") or (function and own.world == "inline"):
            made["executor"] = own.world
        return made

    def _sink(self, name):
        async def sink(letter):
            await asyncio.sleep(1)
            self.letters.append((name, letter.item, type(letter.error).__name__, letter.attempts))

        return self._sinks.setdefault(name, dead_letter(sink))

    def _text(self, parts):
        written = []
        for part in parts:
            if isinstance(part, Side):
                written.append("(" + ", ".join(f"({self._text(branch)})" for branch in part.branches) + ")")
            elif isinstance(part, Within) and part.how == "list":
                written.append(f"({self._text(part.steps)})")
            else:
                name = f"s{len(self.names)}"
                self.names[name] = as_python(part, "tuples")
                written.append(name)
        return " | ".join(written)


MAKE = {
    "Source": Built._source,
    "Map": Built._map,
    "Expand": Built._expand,
    "Filter": Built._filter,
    "Flatten": Built._flatten,
    "Scan": Built._scan,
    "Batch": Built._batch,
    "Lots": Built._lots,
    "Take": Built._take,
    "Until": Built._until,
    "Join": Built._join,
    "Broken": Built._broken,
}


class Attempts:
    """Fails the attempts that the description says.

    A worker on the loop tries one item at a time. Of one in a thread nobody knows which
    thread has the next attempt: there an item always fails or never does.
    """

    def __init__(self, step):
        self._step = step
        self._made = {}

    def __call__(self, item):
        if self._step.options.world == "thread":
            fail_always(self._step, item)
            return
        worker = asyncio.current_task()
        attempt = self._made.get(worker, 0) + 1
        error = self._step.mishap(item, attempt)
        again = error is not None and attempt < self._step.options.attempts
        self._made[worker] = attempt if again else 0
        if error == "ScriptedError":
            raise ScriptedError(f"attempt {attempt}")


def fail_always(step, item):
    if step.mishap(item, 1) == "ScriptedError":
        raise ScriptedError("in every attempt")


# At module level, for processes.


def items_of(step):
    yield from step.items
    if step.kind == "breaks":
        raise ScriptedError("the source broke off")


def only_item_of(step):
    return step.items[0]


def map_elsewhere(step, item):
    fail_always(step, item)
    return step.made(item)


def expand_elsewhere(step, attempt, item):
    if attempt is None:
        fail_always(step, item)
    else:
        attempt(item)
    for part in step.made(item):
        yield part
        if step.breaks(item):
            raise ScriptedError("behind the first")


def chosen(step, names, item):
    """What a route says of an item."""
    if step.is_stray(item):
        return "nowhere"
    called = [names[place] for place in step.places(item, len(names))]
    return called[0] if len(called) == 1 else called or None


def of_parameters(names, *, by_name=False):
    """A function of one item of each branch; it makes the same row in whichever order it takes them."""
    parameters = ", ".join(reversed(names) if by_name else names)
    space: dict[str, Any] = {}
    exec(f"async def rows({parameters}): return ('row', {', '.join(names)})", space)
    return space["rows"]


def arguments(count):
    return [f"x{place}" for place in range(count)]


def last_row(rows):
    """Of combine_latest: from row to row one branch has a new item."""
    for one, other in itertools.pairwise(rows):
        before, behind = (list(row.values()) if isinstance(row, dict) else row for row in (one, other))
        assert sum(a is not b for a, b in zip(before, behind, strict=True)) <= 1, f"{one} and then {other}"
    return rows[-1]


def broken(step):
    async def coroutine(item):
        raise AssertionError("it runs")

    async def generator(item):
        yield item

    made = {
        "an empty tuple": lambda: (),
        "an empty list": lambda: [],
        "an empty dict": lambda: {},
        "a number": lambda: 42,
        "None": lambda: None,
        "text": lambda: "text",
        "an object": object,
        "a coroutine function in a thread": lambda: stage(coroutine, executor="thread"),
        "a timeout of a generator": lambda: stage(generator, timeout=1.0),
        "an operator that is not called": lambda: batch,
        "a name twice": lambda: [stage(coroutine, name="twice"), stage(coroutine, name="twice")],
        "a function of nothing": lambda: lambda: None,
        "a source behind a step": lambda: range(3),
        "a fan-in without a group": zip_,
        "a route without a group": lambda: route(str),
        "a balance without a group": lambda: balance,
        "too many parameters": lambda: of_parameters(arguments(step.arguments)),
        "a zip of branches out of step": lambda: of_parameters(arguments(step.arguments)),
        "a dict with a number for a key": lambda: {1: coroutine, 2: coroutine},
        "two branches of one name": lambda: {stage(coroutine), stage(coroutine, concurrency=2)},
    }
    return made[step.what]()


def in_text(steps):
    """Text has no sets, dicts and objects that are no steps."""
    return not any(
        isinstance(step, Broken) or (isinstance(step, Group) and step.kind != "tuple")
        for step in all_steps(steps)
    )


def written(parts, notation):
    """Parts as a sequence."""
    made = [as_python(part, notation) for part in parts]
    if notation == "lists":
        return made
    if notation != "pipes":
        return tuple(made)
    if not any(isinstance(each, Composable) for each in made[:2]):
        return Steps(tuple(made))  # of two tuples, or two dicts, `|` makes no sequence
    joined = functools.reduce(operator.or_, made)
    return joined if isinstance(joined, Steps) else Steps((joined,))


def as_python(part, notation):
    if isinstance(part, Side):
        within = "tuples" if part.kind == "set" and notation == "lists" else notation  # to be hashable
        branches = [
            written(branch, within) if len(branch) > 1 else as_python(branch[0], within)
            for branch in part.branches
        ]
        if part.kind == "dict":
            return dict(zip(part.names, branches, strict=True))
        return set(branches) if part.kind == "set" else tuple(branches)
    if isinstance(part, Within):
        steps = list(written(part.steps, "lists"))
        return DataFlow(steps) if part.how == "flow" else steps
    return part
