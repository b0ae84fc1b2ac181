"""Strategies for descriptions of definitions, step by step, with what the model says so far.

Only steps are drawn whose result the model can tell (``can_be_told``), so that nothing is
drawn to be thrown away. ``broken_definitions`` are the same with one step that must be refused.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import strategies as st

from tests.property.described import (
    ALWAYS,
    UNSET,
    Batch,
    Broken,
    Definition,
    Expand,
    Filter,
    Flatten,
    Fork,
    Group,
    Inner,
    Join,
    Lots,
    Map,
    Options,
    Scan,
    Source,
    Take,
    Until,
)
from tests.property.reference_model import Branches, Notes, can_be_told, merged, shares, through

AN_ERROR = ValueError("an item like any other")
ITEM = st.integers(1, 99) | st.integers(1, 99) | st.sampled_from([None, 0, "", (), "a", AN_ERROR])
COUNTS = st.sampled_from([0, 1, 1, 2, 3, 4, 5, 6, 7, 8])
SALTS = st.integers(0, 30)
BUFFERS = st.sampled_from([1, 1, 2, 3, 128])
PACES = st.sampled_from([0, 0, 0, 1, 2, 3])
MANY = 40
"""Items, beyond which no step is drawn that multiplies them."""

ANYWHERE = (
    "an empty tuple",
    "an empty list",
    "an empty dict",
    "a number",
    "None",
    "text",
    "an object",
    "a coroutine function in a thread",
    "a timeout of a generator",
    "an operator that is not called",
    "a name twice",
    "a function of nothing",
    "a source behind a step",
    "a dict with a number for a key",
    "two branches of one name",
)
UNEVEN = (Filter, Expand, Take, Until, Batch, Lots)


@st.composite
def options(draw, worlds, *, even=False, many=False, sleeps=True):
    """Options of a stage; ``even`` ones keep the number of items and their order."""
    world = draw(st.sampled_from(worlds))
    concurrency = draw(st.sampled_from([1, 1, 2, 3, 4]))
    order = (
        "ordered" if even or concurrency == 1 else draw(st.sampled_from(["ordered", "unordered", "keyed"]))
    )
    drops = not even and draw(st.integers(0, 6)) == 6
    drawn = Options(
        world,
        concurrency,
        ordered=order != "unordered",
        keyed=order == "keyed",
        buffer=draw(st.integers(1, 2) if drops else BUFFERS),
        overflow=draw(st.sampled_from(["drop_newest", "drop_oldest"] * 2 + ["fail"])) if drops else "block",
        pace=draw(st.just(3) if drops else PACES) if sleeps and world == "coroutine" else 0,
        rate=draw(st.sampled_from([None, None, None, 2])),
        letters=draw(st.sampled_from("xy")),
    )
    return draw(in_trouble(drawn, even=even, many=many, sleeps=sleeps))


@st.composite
def in_trouble(draw, drawn, *, even, many, sleeps):
    """Most stages never fail; of the others most recover, or give items up and go on."""
    kinds = ["none"] * 6 + ["recovers", "recovers", "gives up", "gives up"]
    kind = draw(st.sampled_from(kinds + (["times out"] if sleeps and not many else [])))
    on_error = st.just("fail") if even else st.sampled_from(["skip", "letters"] * 4 + ["fail"])
    at_will = drawn.world in ("coroutine", "inline")
    if kind == "recovers" and at_will:
        fails = draw(st.integers(1, 2))
        return replace(drawn, fails=fails, attempts=fails + 1)
    if kind == "gives up" and (not even or not draw(st.integers(0, 5))):
        return replace(drawn, fails=ALWAYS, attempts=draw(st.integers(1, 3)), on_error=draw(on_error))
    if kind == "times out" and drawn.world == "coroutine" and not even:
        # Half a second is never slept, so that nothing ends in the moment of its deadline.
        more = {"fails": draw(st.integers(0, 1)), "attempts": draw(st.integers(1, 3))}
        return replace(drawn, pace=3, timeout=1.5, on_error=draw(on_error), **more)
    return drawn


def maps(worlds, *, even=False):
    kinds = st.sampled_from(["tag", "tag", "same", "void", "size", "parts"])
    return st.builds(Map, SALTS, options(worlds, even=even), kinds)


def expansions(worlds):
    drawn = options(worlds, many=True)
    return st.builds(Expand, SALTS, drawn, least=st.integers(0, 1), late=st.booleans())


def near(worlds):
    """Where the function of an operator may run."""
    return tuple(each for each in worlds if each != "process")


SIMPLE = {
    "map": maps,
    "expand": expansions,
    "filter": lambda worlds: st.builds(Filter, SALTS, options(near(worlds)), itself=st.booleans()),
    "flatten": lambda _: st.builds(
        Flatten, options=options(("coroutine",), many=True, sleeps=False).map(_untroubled)
    ),
    "scan": lambda worlds: st.builds(
        Scan, st.sampled_from([UNSET, None, 0, 5, ""]), st.sampled_from(near(worlds)), BUFFERS
    ),
    "batch": lambda _: st.builds(Batch, st.integers(1, 3), BUFFERS),
    "lots": lambda _: st.builds(
        Lots,
        st.integers(1, 4),
        st.sampled_from([None, 0.5, 1.5, 4.0]),
        BUFFERS,
        st.sampled_from(["block"] * 5 + ["drop_oldest", "drop_newest"]),
    ),
    "take": lambda _: st.builds(Take, st.integers(1, 6), BUFFERS),
    "until": lambda worlds: st.builds(
        Until,
        SALTS,
        st.sampled_from([each for each in near(worlds) if each != "coroutine"]),
        st.booleans(),
        BUFFERS,
    ),
}
RARE = ("take", "until")
MULTIPLIES = ("expand", "group")
FAN_OUTS = ("broadcast", "broadcast", "in step", "in step", "split", "route", "partition", "balance")


def _untroubled(drawn):
    return replace(drawn, fails=0, attempts=1, timeout=None, on_error="fail")


class Drawer:
    """Draws one definition.

    Args:
        draw: Of hypothesis.
        worlds: Where functions may run.
        deepest: How deep groups nest.
    """

    def __init__(self, draw, worlds, deepest=3):
        self._draw = draw
        self._worlds = worlds
        self._deepest = deepest
        self._numbers = itertools.count()

    def definition(self):
        return Definition(self._steps(None, self._deepest, least=1, most=5))

    def _steps(self, state, depth, *, most, least=0):
        """Steps that take ``state``; sources first, where there is none."""
        steps = []
        if state is None:
            steps += self._sources(depth)
            state = through(steps, None, Notes())
        for _ in range(self._draw(st.integers(least, most))):
            more = self._next(state, depth)
            steps += more
            state = through(more, state, Notes())
        return tuple(steps)

    def _sources(self, depth):
        if not depth or self._draw(st.integers(0, 2)):
            return self._source(COUNTS)
        # Of the same count, often, or every zip of them would fail.
        counts = COUNTS if self._draw(st.booleans()) else st.just(self._draw(COUNTS))
        branches = [
            (*self._sources_of_branch(depth - 1, counts), *self._behind_source())
            for _ in range(self._draw(st.integers(2, 3)))
        ]
        return [self._group(tuple(branches))]

    def _sources_of_branch(self, depth, counts):
        if depth and not self._draw(st.integers(0, 5)):
            return (*self._sources(depth), Map(5))
        return self._source(counts)

    def _behind_source(self):
        """What stands behind a source in its branch; mostly nothing."""
        kind = self._draw(st.sampled_from(["", "", "map", "map", "filter", "expand"]))
        return [self._draw(SIMPLE[kind](self._worlds))] if kind else []

    def _source(self, counts):
        draw = self._draw
        count = draw(counts)
        items = tuple(draw(st.lists(ITEM, min_size=count, max_size=count)))
        worlds = [each for each in self._worlds if each != "inline"]
        kind = draw(st.sampled_from(["ends"] * 12 + ["once"] * 3 * (count == 1) + ["breaks"] + ["stays"] * 2))
        world = draw(
            st.sampled_from(worlds + (["iterable"] if kind == "ends" and "thread" in worlds else []))
        )
        if kind == "stays" and count and world == "coroutine":
            # Nothing ends it but a step that wants no more, and has to say so at once.
            return [Source(items, draw(PACES), "stays"), Take(count, draw(BUFFERS))]
        kind = "ends" if kind == "stays" else kind
        return [Source(items, draw(PACES) if world == "coroutine" else 0, kind, world)]

    def _next(self, state, depth):
        """One step or, where they belong together, several."""
        draw = self._draw
        joins = self._joins(state)
        if joins and draw(st.integers(0, 3)):
            return [draw(st.sampled_from(joins))]
        few = len(merged(state).pieces) <= MANY
        kinds = ["map", "map", "filter", "lots", *SIMPLE]
        if depth and few:
            kinds += ["group"] * 8 + ["inner"]
        kind = draw(st.sampled_from([each for each in kinds if few or each not in MULTIPLIES]))
        if kind in RARE and draw(st.booleans()):
            kind = "map"
        if kind == "group":
            return self._fan_out(merged(state), depth)
        if kind == "inner":
            return [self._inner(state, depth)]
        step = draw(SIMPLE[kind](self._worlds))
        return [step if can_be_told(step, state) else draw(maps(self._worlds))]

    def _inner(self, state, depth):
        first = self._draw(maps(self._worlds))
        rest = self._steps(through([first], state, Notes()), depth - 1, most=1)
        return Inner((first, *rest), self._draw(st.sampled_from(["list", "flow"])))

    def _joins(self, state):
        """The fan-ins whose result is known."""
        if not isinstance(state, Branches):
            return []
        buffer = self._draw(BUFFERS)
        joins = [Join(kind, buffer=buffer) for kind in ("merge", "concat", "combine_latest", "zip_", "zip_")]
        joins.append(Join("zip_", uneven="shortest", buffer=buffer))
        if state.kind != "set":
            places = tuple(f"x{place}" for place in range(len(state.streams)))
            joins += [Join("rows", parameters=places, buffer=buffer)] * 2
        if state.names:
            joins += [Join("rows", parameters=state.names, by_name=True, buffer=buffer)] * 2
        return [each for each in joins if can_be_told(each, state)]

    def _fan_out(self, stream, depth):
        """A group behind a step: everybody gets everything, or a fork decides."""
        draw = self._draw
        count = draw(st.integers(2, 3))
        kind = draw(st.sampled_from(FAN_OUTS))
        if kind == "balance":
            return self._balanced(count)
        even = kind == "in step" or (kind == "split" and draw(st.booleans()))
        forks = self._fork(kind) if kind in ("route", "partition", "split") else []
        given = shares(forks[0] if forks else None, stream, count, Notes())
        branches = [self._branch(each, depth - 1, even) for each in given]
        kinds = ("dict", "set") if kind == "route" else ("tuple", "tuple", "dict", "set")
        made = self._group(tuple(branches), kinds)
        if kind == "split" and made.names:
            forks = [replace(forks[0], by_name=made.kind == "set" or draw(st.booleans()))]
        return [*forks, made]

    def _branch(self, stream, depth, even):
        if even:
            return self._draw(st.lists(maps(self._worlds, even=True), min_size=1, max_size=2).map(tuple))
        steps = self._steps(stream, depth, most=2, least=1)
        # A group that is a whole branch would be joined to the group around it.
        return steps if len(steps) > 1 or not isinstance(steps[0], Group | Inner) else (*steps, Map(7))

    def _fork(self, kind):
        drawn = self._draw(options(near(self._worlds)))
        strays = kind == "route" and drawn.on_error != "fail" and self._draw(st.booleans())
        return [Fork(self._draw(SALTS), drawn, kind, strays)]

    def _balanced(self, count):
        """Branches that do the same at another pace, since nobody knows who gets what."""
        step = self._draw(maps(self._worlds))
        drawn = st.builds(
            replace,
            st.just(step.options),
            concurrency=st.integers(1, 3),
            buffer=BUFFERS,
            overflow=st.just("block"),
            rate=st.none(),
        )
        branches = tuple((replace(step, options=self._draw(drawn)),) for _ in range(count))
        fork = Fork(kind="balance", options=Options(buffer=self._draw(BUFFERS)))
        return [fork, self._group(branches, ("tuple", "dict"))]

    def _group(self, branches, kinds=("tuple", "tuple", "dict")):
        kind = self._draw(st.sampled_from(kinds))
        if kind == "set" and not all(map(_may_be_in_a_set, branches)):
            kind = "dict"
        number = next(self._numbers)
        names = tuple(f"g{number}_{place}" for place in range(len(branches)))
        return Group(branches, kind, names if kind != "tuple" else ())


def _may_be_in_a_set(branch):
    """It is hashable, and its last step is one stage, after which it is named."""
    return isinstance(branch[-1], Map) and not any(isinstance(each, Group | Inner) for each in branch)


@st.composite
def definitions(draw, worlds=("coroutine", "inline"), deepest=3):
    """Definitions that run."""
    return Drawer(draw, worlds, deepest).definition()


@st.composite
def broken_definitions(draw):
    """Definitions with one step that must be refused."""
    whole = Drawer(draw, ("coroutine", "inline")).definition()
    places = list(_places(whole.steps, ()))
    path, at = draw(st.sampled_from(places))
    return Definition(_with_broken(draw, whole.steps, path, at))


def _places(steps, path):
    """Where a step may be put: behind the first of any sequence of steps."""
    for at in range(1, len(steps) + 1):
        yield path, at
    for at, step in enumerate(steps):
        if isinstance(step, Inner):
            yield from _places(step.steps, (*path, (at, None)))
        if isinstance(step, Group):
            for branch, inside in enumerate(step.branches):
                yield from _places(inside, (*path, (at, branch)))


def _with_broken(draw, steps, path, at):
    if not path:
        what = draw(st.sampled_from(list(_faults(steps, at))))
        return (*steps[:at], what, *steps[at:])
    (here, branch), *rest = path
    step = steps[here]
    if branch is None:
        changed = replace(step, steps=_with_broken(draw, step.steps, rest, at))
    else:
        branches = list(step.branches)
        branches[branch] = _with_broken(draw, branches[branch], rest, at)
        # The last step of a branch of a set is named, which not every broken one can be.
        changed = replace(step, branches=tuple(branches), kind="dict" if step.kind == "set" else step.kind)
    return (*steps[:here], changed, *steps[here + 1 :])


def _faults(steps, at):
    """What would be wrong between two steps."""
    before = steps[at - 1]
    behind = steps[at] if at < len(steps) else None
    yield from map(Broken, ANYWHERE)
    if not isinstance(before, Group | Inner):
        yield Broken("a fan-in without a group")
    if not isinstance(behind, Group | Inner):
        yield Broken("a route without a group")
        yield Broken("a balance without a group")
    if isinstance(before, Group):
        count = len(before.branches)
        yield Broken("too many parameters", count + 1)
        if at > 1 and any(isinstance(step, UNEVEN) for branch in before.branches for step in branch):
            yield Broken("a zip of branches out of step", count)
