"""What was seen of a run against what the reference model says must be."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from tests.property.reference_model import Piece


class Observed(NamedTuple):
    """A run: its results, what dead-letter sinks were given, and the name of its error."""

    results: list[Any]
    letters: list[tuple[str, Any, str, int]]
    error: str | None = None


def complaint(expected, seen):
    """What is wrong with a run; empty where nothing is."""
    if seen.error is not None and seen.error not in expected.errors:
        return f"failed with {seen.error}, which none of its stages raises"
    if seen.error is None and expected.must_fail:
        return f"ended well, and had to fail with one of {sorted(expected.errors)}"
    well = seen.error is None
    pieces = [Piece(repr(piece.item), piece.sure and well) for piece in expected.results.pieces]
    results = list(map(repr, seen.results))
    letters = [
        Piece(repr((each.sink, each.item, each.error, each.attempts)), each.sure and well)
        for each in expected.letters
    ]
    wrong = amiss("results", pieces, results) or amiss("dead letters", letters, list(map(repr, seen.letters)))
    if not wrong and well and expected.results.exactly not in (None, len(results)):
        wrong = f"{len(results)} results, and {expected.results.exactly} had to come"
    return wrong or out_of_order(expected.results, results, well)


def amiss(what, pieces, seen):
    extra = Counter(seen) - Counter(piece.item for piece in pieces)
    missing = Counter(piece.item for piece in pieces if piece.sure) - Counter(seen)
    told = [
        f"{name} {what}: {sorted(them.elements())}"
        for name, them in (("extra", extra), ("missing", missing))
        if them
    ]
    return "; ".join(told)


def out_of_order(expected, results, well):
    """A lane that the results do not keep; of pieces that are equal, only as far as that can be seen."""
    counts = Counter(map(repr, expected.items))
    for lane in expected.lanes:
        own = [repr(piece.item) for piece in lane if counts[repr(piece.item)] == 1]
        seen = [each for each in results if each in own]
        if not is_within(seen, own):
            return f"out of order: {seen} of the lane {own}"
        sure = [repr(piece.item) for piece in lane if piece.sure]
        if well and not is_within(sure, results):
            return f"out of order: the lane {sure}, in {results}"
    if len(expected.lanes) == 1 and not is_within(results, [repr(item) for item in expected.items]):
        return f"out of order: {results}, of {expected.items}"
    return ""


def is_within(some, others):
    """A subsequence."""
    left = iter(others)
    return all(each in left for each in some)
