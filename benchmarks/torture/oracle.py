"""Judges a run: from what the consumer took and saw, and what was left, to words of the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .case import BREAKS, INTERRUPTED, POISON, POISON_PROCESS, RAISES, Case
from .items import BoomError

HUNG: Final = "hung"
LOST: Final = "lost"
SWALLOWED: Final = "swallowed"
LEAKED: Final = "leaked"
UNBOUNDED: Final = "unbounded"
RAISED: Final = "raised"
DIED: Final = "died"

WORDS: Final = (HUNG, DIED, LOST, SWALLOWED, RAISED, UNBOUNDED, LEAKED)

MOST_AHEAD: Final = 300
"""Items that a source of 1,000 may be ahead of a consumer that stands still; packages are told 10 an edge."""


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a run: words of the table, none where it is right, and what they stand on."""

    words: tuple[str, ...]
    detail: str = ""


def judge(case: Case, seen: BaseException | None) -> Verdict:
    """Judge a run by what its consumer took, the exception that it saw, and what was left."""
    found = [*_of_items(case, seen), *_of_exception(case, seen)]
    if case.ahead > MOST_AHEAD:
        found.append((UNBOUNDED, f"{case.ahead} items ahead of the consumer"))
    if case.left:
        found.append((LEAKED, ", ".join(sorted(set(case.left)))))
    words = {word for word, _ in found}
    return Verdict(
        tuple(each for each in WORDS if each in words),
        "; ".join(f"{word}: {detail}" for word, detail in found),
    )


def _of_items(case: Case, seen: BaseException | None) -> Iterator[tuple[str, str]]:
    doubled = len(case.taken) - len(set(case.taken))
    if doubled:
        yield LOST, f"{doubled} items came twice"
    if seen is not None or case.flow == INTERRUPTED:
        return
    if case.flow == BREAKS:
        if len(case.taken) < case.leave_after:
            yield LOST, f"{len(case.taken)} items came, and then the end, of {case.count}"
        return
    expected = set(range(case.count))
    if _must_raise(case):
        expected.discard(case.special)
    if missing := expected - set(case.taken):
        yield LOST, f"{len(missing)} of {case.count} items are missing"


def _of_exception(case: Case, seen: BaseException | None) -> Iterator[tuple[str, str]]:
    told = "no exception" if seen is None else f"{type(seen).__name__}"
    if due := {INTERRUPTED: KeyboardInterrupt, RAISES: BoomError}.get(case.flow):
        if not isinstance(seen, due):
            yield RAISED if _holds(seen, due) else SWALLOWED, f"{told} in place of {due.__name__}"
    elif case.flow in {POISON, POISON_PROCESS}:
        if seen is None and _must_raise(case):
            yield SWALLOWED, "no exception where the stage raised one"
    elif seen is not None:
        yield RAISED, f"{told} where nothing was wrong"


def _must_raise(case: Case) -> bool:
    return case.flow == RAISES or (case.flow in {POISON, POISON_PROCESS} and case.raises_unloadable)


def _holds(seen: BaseException | None, due: type[BaseException]) -> bool:
    """Whether what was due is in a group or in the chain: then it is not swallowed, only not itself."""
    if seen is None:
        return False
    inner = seen.exceptions if isinstance(seen, BaseExceptionGroup) else ()
    return any(
        isinstance(each, due) or _holds(each, due) for each in (*inner, seen.__cause__, seen.__context__)
    )
