"""What must come out of a definition, from its description alone: no asyncio, nothing of the runtime.

A stream is *lanes*: sequences whose own order is promised and whose interleaving is free. One
lane is a sequence; behind an unordered stage each item is a lane of its own; a merge puts the
lanes of its branches side by side. A *piece* is an item that must come or, behind an edge
that drops, may come.

Two things keep the model simple. A step whose result hangs on the order of its items (a
scan, a batch that is not taken apart again, a zip of branches that are not in step) has no
result here unless that order is promised: ``can_be_told`` says so, and no such definition is
drawn. And an item whose failure ends the run is taken as skipped: if the run ends well
all the same, because nobody wanted more before that item was reached, nobody can tell the
difference; if it fails, all pieces are ones that may come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.property.described import (
    UNSET,
    Batch,
    Expand,
    Filter,
    Flatten,
    Fork,
    Group,
    Inner,
    Join,
    Lots,
    Map,
    Scan,
    Source,
    Take,
    Until,
)


class Piece(NamedTuple):
    """An item, and whether it must come."""

    item: Any
    sure: bool = True


class Letter(NamedTuple):
    """What a dead-letter sink gets."""

    sink: str
    item: Any
    error: str
    attempts: int
    sure: bool = True


@dataclass(frozen=True)
class Stream:
    """Lanes; ``exactly`` is how many pieces come, where it is known although which is not."""

    lanes: tuple[tuple[Piece, ...], ...]
    exactly: int | None = None

    @property
    def pieces(self):
        return [piece for lane in self.lanes for piece in lane]

    @property
    def items(self):
        return [piece.item for piece in self.pieces]

    @property
    def is_sure(self):
        return all(piece.sure for piece in self.pieces)

    @property
    def count(self):
        return len(self.pieces) if self.is_sure else self.exactly

    @property
    def is_sequence(self):
        """Every item is sure to come, and in this order."""
        return self.is_sure and sum(bool(lane) for lane in self.lanes) <= 1

    def each(self, change, exactly=None):
        """Every piece replaced by any number of others."""
        lanes = tuple(tuple(new for piece in lane for new in change(piece)) for lane in self.lanes)
        return Stream(lanes, exactly)

    def perhaps(self):
        return self.each(lambda piece: [piece._replace(sure=False)])


@dataclass(frozen=True)
class Branches:
    """What a group makes: a stream of each branch.

    ``shared`` says that they take from one step, ``in_step`` that they make one item from each
    of it and keep their order, so that the lanes of all have the same shape.
    """

    streams: tuple[Stream, ...]
    names: tuple[str, ...] = ()
    kind: str = "tuple"
    shared: bool = False
    in_step: bool = False


@dataclass
class Notes:
    """What happens on the way.

    ``ends_early`` says that some step wants no more before its input ends; what comes before it
    may then be spared its failures and dead letters.
    """

    letters: list[Letter] = field(default_factory=list)
    errors: set[str] = field(default_factory=set)
    sure_to_fail: bool = False
    ends_early: bool = False

    def fail(self, error, sure):
        self.errors.add(error)
        self.sure_to_fail = self.sure_to_fail or sure


class Outcome(NamedTuple):
    """What must come of a definition."""

    results: Stream
    letters: list[Letter]
    errors: frozenset[str]
    must_fail: bool
    ends_early: bool


def sequence(items):
    return Stream((tuple(map(Piece, items)),))


def outcome(definition):
    """The results, the dead letters and the errors of a run."""
    notes = Notes()
    results = merged(through(definition.steps, None, notes, last=True))
    letters = [each._replace(sure=each.sure and not notes.ends_early) for each in notes.letters]
    must_fail = notes.sure_to_fail and not notes.ends_early
    return Outcome(results, letters, frozenset(notes.errors), must_fail, notes.ends_early)


def through(steps, state, notes, *, last=False):
    """What comes out of steps; ``state`` is ``None`` before the first, a stream or branches.

    With ``last`` these are the last ones of the definition: a function there that returns
    ``None`` has no result.
    """
    fork = None
    for at, step in enumerate(steps, 1):
        at_end = last and at == len(steps)
        if isinstance(step, Fork):
            fork, state = step, merged(state)
        elif isinstance(step, Group):
            state, fork = group(step, fork, state, notes, last=at_end), None
        elif isinstance(step, Inner):
            state = through(step.steps, state, notes, last=at_end)
        else:
            state = after(step, state, notes)
            if at_end and (isinstance(step, Map) or (isinstance(step, Source) and step.kind == "once")):
                state = without_none(state)
    return state


def after(step, state, notes):
    """What comes out of a step that is neither a fork nor a group nor several steps."""
    if isinstance(step, Source):
        if step.kind == "breaks":
            notes.fail("ScriptedError", sure=True)
        return sequence(step.items)
    if isinstance(step, Join):
        return JOINS[step.kind](step, state, notes)
    return STEPS[type(step)](step, merged(state), notes)


def without_none(stream):
    exactly = None if None in stream.items else stream.exactly
    return stream.each(lambda piece: [] if piece.item is None else [piece], exactly)


def merged(state):
    """Branches that meet as they come: all their lanes side by side."""
    if not isinstance(state, Branches):
        return state
    counts = [stream.count for stream in state.streams]
    exactly = None if None in counts else sum(counts)
    return Stream(tuple(lane for stream in state.streams for lane in stream.lanes), exactly)


# One item after another.


def across(stream, buffer, overflow, notes):
    """The edge into a step; as many items as it holds never find it full."""
    total = len(stream.pieces)
    if overflow == "block" or total <= buffer:
        return stream
    if overflow == "fail":
        notes.fail("BufferFullError", sure=False)
        return stream
    if not stream.is_sequence:
        return stream.perhaps()
    kept = range(buffer) if overflow == "drop_newest" else range(total - buffer, total)
    return Stream((tuple(Piece(item, at in kept) for at, item in enumerate(stream.items)),))


def in_new_order(stream, options):
    """What the workers of a stage leave of the order."""
    if options.keeps_order:
        return stream
    lanes = []
    for lane in stream.lanes:
        if options.keyed:
            keys = dict.fromkeys(options.key(piece.item) for piece in lane)
            lanes += [tuple(piece for piece in lane if options.key(piece.item) == key) for key in keys]
        else:
            lanes += [(piece,) for piece in lane]
    return Stream(tuple(lanes), stream.exactly)


def attempts(step, item):
    """How many tries it takes, and the error that the last one ends in, if any."""
    for attempt in range(1, step.options.attempts + 1):
        error = step.mishap(item, attempt)
        if error is None:
            return attempt, None
    return step.options.attempts, error


def worked(step, stream, made, notes, *, one_to_one=False):
    """A stage under its policies: ``made`` says what comes of an item that does not fail."""
    options = step.options
    stream = in_new_order(across(stream, options.buffer, options.overflow, notes), options)
    failed = False

    def give_up(piece, error, tries):
        nonlocal failed
        failed = True
        if options.on_error == "letters":
            notes.letters.append(Letter(options.letters, piece.item, error, tries, piece.sure))
        elif options.on_error == "fail":
            notes.fail(error, piece.sure)

    def change(piece):
        tries, error = attempts(step, piece.item)
        if error is not None:
            give_up(piece, error, tries)
            return []
        new = list(made(piece.item))
        if isinstance(step, Expand) and step.breaks(piece.item):
            give_up(piece, "ScriptedError", tries)
            new = new[:1]
        return [Piece(item, piece.sure) for item in new]

    changed = stream.each(change)
    return Stream(changed.lanes, stream.exactly if one_to_one and not failed else None)


def mapped(step, stream, notes):
    return worked(step, stream, lambda item: [step.made(item)], notes, one_to_one=True)


def expanded(step, stream, notes):
    return worked(step, stream, step.made, notes)


def filtered(step, stream, notes):
    return worked(step, stream, lambda item: [item] if step.answer(item) else [], notes)


def flattened(step, stream, notes):
    return worked(step, stream, lambda item: item, notes)


# The stream as a whole.


def scanned(step, stream, notes):
    states, items = [], list(stream.items)
    if step.initial == UNSET and items:
        states.append(items.pop(0))
    for item in items:
        states.append(step.fold(states[-1] if states else step.initial, item))
    return sequence(states)


def batched(step, stream, notes):
    items = stream.items
    return sequence(items[at : at + step.size] for at in range(0, len(items), step.size))


def in_lots(step, stream, notes):
    return across(stream, step.buffer, step.overflow, notes)


def taken(step, stream, notes):
    notes.ends_early = True
    if stream.is_sequence:
        return sequence(stream.items[: step.count])
    exactly = None if stream.count is None else min(stream.count, step.count)
    return Stream(stream.perhaps().lanes, exactly)


def taken_until(step, stream, notes):
    notes.ends_early = True
    items = stream.items
    end = next((at for at, item in enumerate(items) if step.says(item)), len(items))
    return sequence(items[: end + step.inclusive])


# Branches.


def group(step, fork, state, notes, *, last):
    """Every branch of a group with what it gets."""
    streams = [None] * len(step.branches)
    if state is not None:
        streams = shares(fork, merged(state), len(streams), notes)
    made = [
        merged(through(branch, given, notes, last=last))
        for branch, given in zip(step.branches, streams, strict=True)
    ]
    in_step = (fork is None or fork.kind == "split") and all(map(keeps_step, step.branches))
    shared = state is not None
    return Branches(tuple(made), step.names, step.kind, shared, shared and in_step)


def shares(fork, stream, count, notes):
    """What each of so many branches gets: everything, or what the fork gives it."""
    if fork is None:
        return [stream] * count
    stream = worked(fork, stream, lambda item: [item], notes, one_to_one=True)
    if fork.kind == "split":
        return [
            stream.each(lambda piece, place=place: [Piece(fork.part(piece.item, place), piece.sure)])
            for place in range(count)
        ]
    if fork.kind == "balance":
        # Nobody knows which branch an item goes to; all do the same, so the first may have them all.
        alone = Stream(tuple((piece,) for piece in stream.pieces), stream.exactly)
        return [alone] + [Stream(())] * (count - 1)

    def goes_to(item, place):
        return place in fork.places(item, count) if fork.kind == "route" else fork.key(item) % count == place

    return [
        stream.each(lambda piece, place=place: [piece] if goes_to(piece.item, place) else [])
        for place in range(count)
    ]


def keeps_step(steps):
    """A branch makes one item from each that it takes, in the same order."""
    for at, step in enumerate(steps):
        follower = steps[at + 1] if at + 1 < len(steps) else None
        if isinstance(step, Group):
            rows = (
                isinstance(follower, Join)
                and follower.kind in ("rows", "zip_")
                and follower.uneven == "error"
            )
            if not rows or not all(map(keeps_step, step.branches)):
                return False
        elif isinstance(step, Map):
            if not (step.options.keeps_order and step.options.keeps_count):
                return False
        elif not isinstance(step, Scan) and not (isinstance(step, Join) and step.kind in ("rows", "zip_")):
            return False
    return True


def rows_of(step, state, notes):
    """Zip: row by row of branches in step, lane by lane; else of sequences."""
    if state.in_step:
        lanes = [
            tuple(row_of(step, state.names, pieces) for pieces in zip(*lanes, strict=False))
            for lanes in zip(*(stream.lanes for stream in state.streams), strict=False)
        ]
        return Stream(tuple(lanes), state.streams[0].exactly)
    items = [stream.items for stream in state.streams]
    if step.uneven == "shortest":
        notes.ends_early = True
    elif len(set(map(len, items))) > 1:
        notes.fail("UnevenZipError", sure=True)
    return Stream((tuple(row_of(step, state.names, map(Piece, row)) for row in zip(*items, strict=False)),))


def row_of(step, names, pieces):
    pieces = list(pieces)
    items = [piece.item for piece in pieces]
    sure = all(piece.sure for piece in pieces)
    if step.kind == "rows":
        return Piece(("row", *items), sure)
    return Piece(dict(zip(names, items, strict=True)) if names else tuple(items), sure)


def latest(step, state, notes):
    """Of all rows only the last is known: what each branch sent last."""
    if not all(stream.items for stream in state.streams):
        return sequence([])
    row = row_of(step, state.names, (Piece(stream.items[-1]) for stream in state.streams))
    return sequence([row.item])


def one_after_another(step, state, notes):
    """Concat: one lane, if each branch is one."""
    union = merged(state)
    if any(sum(bool(lane) for lane in stream.lanes) > 1 for stream in state.streams):
        return union
    return Stream((tuple(union.pieces),), union.exactly)


STEPS = {
    Map: mapped,
    Expand: expanded,
    Filter: filtered,
    Flatten: flattened,
    Scan: scanned,
    Batch: batched,
    Lots: in_lots,
    Take: taken,
    Until: taken_until,
}
JOINS = {
    "merge": lambda step, state, notes: merged(state),
    "zip_": rows_of,
    "rows": rows_of,
    "combine_latest": latest,
    "concat": one_after_another,
}


def can_be_told(step, state):
    """Whether the model knows what comes out of a step, and the step cannot stand still for good.

    A zip of branches of one step stands still where they do not make the same number of
    items, and a concat of such branches does where they are long: both are documented.
    """
    if isinstance(step, Join):
        if step.kind == "merge":
            return True
        if step.kind == "concat":
            return not state.shared
        sequences = all(stream.is_sequence for stream in state.streams)
        return sequences if step.kind == "combine_latest" or not state.shared else state.in_step
    if isinstance(step, Scan | Batch | Until):
        return merged(state).is_sequence
    if isinstance(step, Flatten):
        return all(isinstance(item, tuple | list) for item in merged(state).items)
    return True
