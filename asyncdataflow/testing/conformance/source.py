"""check_source: what a run relies on in a source."""

from __future__ import annotations

import functools
import reprlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from ...abc import Source
from ...operators.streamwise import opened
from .context import (
    ENDS_CANCELLED,
    LEAVES_NOTHING,
    PASSES_ERRORS,
    STARTS_WHEN_OPENED,
    context_of,
    ends_cancelled,
    leaves_nothing,
    passes_errors,
    starts_when_opened,
)
from .rules import Rule, judge
from .trial import Bench, Visit

__all__ = ("check_source",)


@dataclass(frozen=True, slots=True)
class _Sources:
    """What is tried: sources made anew, and what they are to give."""

    make: Callable[[], Source[Any]]
    items: Sequence[Any] | None
    most: int
    bench: Bench

    async def read(self, source: Source[Any]) -> list[Any]:
        """Open it, take what it gives up to ``most`` items, and leave it."""
        async with _reading(source) as iterator:
            return await self.take(iterator)

    async def take(self, iterator: AsyncIterator[Any], most: int | None = None) -> list[Any]:
        taken: list[Any] = []
        with suppress(StopAsyncIteration):
            while len(taken) < (self.most if most is None else most):
                taken.append(await anext(iterator))
        return taken

    def unlike(self, taken: list[Any]) -> str | None:
        """How what came differs from what was to come."""
        if self.items is None or taken == list(self.items):
            return None
        return f"{reprlib.repr(taken)} came, not {reprlib.repr(list(self.items))}"


@asynccontextmanager
async def _reading(source: Source[Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """As a run does it."""
    async with context_of(source) as items, opened(items) as iterator:
        yield iterator


def _starts_when_opened(sources: _Sources) -> str | None:
    return sources.bench.run(starts_when_opened(sources.make))


def _is_serial(sources: _Sources) -> str | None:
    async def main() -> str | None:
        return sources.unlike(await sources.read(sources.make()))

    return sources.bench.run(main())


def _begins_anew(sources: _Sources) -> str | None:
    async def again() -> str | None:
        source = sources.make()
        await sources.read(source)
        unlike = sources.unlike(await sources.read(source))
        return unlike and f"opened a second time: {unlike}"

    async def at_once() -> str | None:
        source = sources.make()
        async with _reading(source) as first:
            taken = await sources.take(first, most=1)
            async with _reading(source) as second:
                unlike = sources.unlike(await sources.take(second))
                if unlike:
                    return f"opened while it was open: {unlike}"
            taken += await sources.take(first, most=sources.most - len(taken))
        unlike = sources.unlike(taken)
        return unlike and f"read on after another that was open at once was left: {unlike}"

    return sources.bench.run(again()) or sources.bench.run(at_once())


def _ends_once(sources: _Sources) -> str | None:
    async def main() -> str | None:
        async with _reading(sources.make()) as iterator:
            if len(await sources.take(iterator)) == sources.most:
                # With items=, `most` is one more than there are.
                return None if sources.items is None else "it did not end behind its items"
            for _ in range(3):
                with suppress(StopAsyncIteration):
                    return f"{reprlib.repr(await anext(iterator))} came after the end"
        return None

    return sources.bench.run(main())


def _stays_closed(sources: _Sources) -> str | None:
    async def main() -> str | None:
        async with _reading(sources.make()) as iterator:
            await sources.take(iterator, most=1)
            if not hasattr(iterator, "aclose"):
                return None
            await iterator.aclose()
            with suppress(StopAsyncIteration):
                return f"{reprlib.repr(await anext(iterator))} came after aclose()"
        return None

    return sources.bench.run(main())


def _closes_twice(sources: _Sources) -> str | None:
    async def main() -> None:
        async with _reading(sources.make()) as iterator:
            await sources.take(iterator, most=1)
            for _ in range(2):
                await getattr(iterator, "aclose", _nothing)()

    return sources.bench.run(main())


async def _nothing() -> None:
    """In place of an ``aclose`` that an iterator need not have."""


def _visits(sources: _Sources) -> Iterator[Visit]:
    async def visit(most: int) -> None:
        async with _reading(sources.make()) as iterator:
            await sources.take(iterator, most)

    for most in range(sources.most + 1):
        yield sources.bench.visit(f"left after {most} items", functools.partial(visit, most))
    yield from sources.bench.visits_cancelled(functools.partial(visit, sources.most))


def _leaves_nothing(sources: _Sources) -> str | None:
    return leaves_nothing(_visits(sources))


def _ends_cancelled(sources: _Sources) -> str | None:
    return ends_cancelled(_visits(sources))


def _passes_errors(sources: _Sources) -> str | None:
    async def use(error: BaseException) -> None:
        async with _reading(sources.make()) as iterator:
            await sources.take(iterator, most=1)
            raise error

    return sources.bench.run(passes_errors(use))


_ITEMS: Final = Rule("RS 1.3", "Its items come one by one, each once, in their order.")
_ANEW: Final = Rule("C29", "Opened again it begins anew, and two that are open at once share nothing.")
_RULES: Final = (
    (STARTS_WHEN_OPENED, _starts_when_opened),
    (Rule("RS 1.7", "It ends once: what is asked after the end hears the end again."), _ends_once),
    (Rule("RS 1.8", "Once its iterator is closed, no item comes any more."), _stays_closed),
    (Rule("RS 3.7", "Closing its iterator again is nothing."), _closes_twice),
    (LEAVES_NOTHING, _leaves_nothing),
    (ENDS_CANCELLED, _ends_cancelled),
    (PASSES_ERRORS, _passes_errors),
)


def check_source(
    make: Callable[[], Source[Any]],
    *,
    items: Sequence[Any] | None = None,
    most: int = 3,
    used_up: bool = False,
    seeds: int = 3,
    real_time: bool = False,
    deadline: float = 10.0,
) -> tuple[Rule, ...]:
    """Try whether a source keeps to what a run relies on.

    It is opened, read, left and cancelled at every step, as a run does it, on loops of its
    own: call it from a plain test function. The rules are

    - C28: nothing runs before it is opened; ``open()`` returns an async context manager;
    - C29: opened again it begins anew, and two that are open at once share nothing (not where it
      is ``used_up``);
    - RS 1.3: its items come one by one, each once, in their order (only with ``items``);
    - RS 1.7: after the end, ``anext`` says the end again (where it ends within ``most`` items);
    - RS 1.8: once its iterator is closed, no item comes any more;
    - RS 3.7: closing its iterator again is nothing;
    - C22: left at any item or cancelled at any step, it ends and leaves no task, async
      generator or thread;
    - C24: a cancellation comes out as one;
    - D36: an error in the block comes out as itself.

    Not tried, because it cannot be seen from outside: whether it makes items before they are
    asked for (RS 1.1).

    Args:
        make: Makes the source anew, on a running loop, ready to give its items.
        items: What each opening is to give, after which it ends.
        most: Without ``items``, how many items are read at most; it has to have so many, or to end.
        used_up: An item that was read is gone, as in a queue: opened again, it goes on. ``make``
            then sees to it that the items are there again.
        seeds: How many orders of steps it is cancelled in.
        real_time: For a source that waits for anything outside the loop: a socket, a thread, a
            process. Else time is virtual, and waiting costs nothing.
        deadline: Seconds after which it is taken to hang.

    Returns:
        The rules that were tried; all of them hold.

    Raises:
        BrokenRuleError: It breaks some, each told with its number and what was seen.

    Example:
        >>> from contextlib import asynccontextmanager
        >>> from asyncdataflow import Source
        >>> from asyncdataflow.testing import check_source
        >>> class Countdown(Source[int]):
        ...     def __init__(self, start):
        ...         self.left = start
        ...     @asynccontextmanager
        ...     async def open(self):
        ...         async def read():
        ...             while self.left:
        ...                 self.left -= 1  # kept on the source, where runs share it
        ...                 yield self.left + 1
        ...         yield read()
        >>> check_source(lambda: Countdown(2), items=[2, 1])
        Traceback (most recent call last):
        asyncdataflow.errors.BrokenRuleError: the source breaks 1 of 9 rules:
          C29: Opened again it begins anew, and two that are open at once share nothing.
            seen: opened a second time: [] came, not [2, 1]
    """
    known = None if items is None else list(items)
    sources = _Sources(
        make, known, most if known is None else len(known) + 1, Bench(real_time, deadline, seeds)
    )
    rules = _RULES if known is None else ((_ITEMS, _is_serial), *_RULES)
    rules = rules if used_up else (*rules[:-1], (_ANEW, _begins_anew), rules[-1])
    return judge("the source", ((rule, functools.partial(check, sources)) for rule, check in rules))
