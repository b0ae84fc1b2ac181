"""Unrolled: the loop of a walk, written out for its stages.

``for function in functions: made = await function(made)`` costs about as much as five
trivial stages do. So the loop over the stages is written out, each a line of its own, once
for each shape: how many there are, and which of them are coroutine functions. Which stage
an item is in costs nothing then, either: the number of the line says it.
"""

from __future__ import annotations

import linecache
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence, Set
from functools import lru_cache
from types import CoroutineType
from typing import Any, Final, Protocol, TypeAlias

from .result import is_awaited

__all__ = ("Ended", "Unrolled", "Walking")

_SHAPES: Final = 256

_BEGIN: Final = """\
def bind(functions, lay, none, kinds):
    {functions}, = functions
    {usual} = known = None
    def stop():
        nonlocal {names}, known
        {usual} = None
        known = ()
    async def walk(walking, items):
        nonlocal {names}, known
        known = kinds
        {item} = made = None
        try:
            for {item} in items:
"""
_TAKEN: Final = """\
                made = item.item
"""
_AWAITED: Final = """\
                result = await function{0}(made)
                if type(result) is not usual{0}:
                    if type(result) in known:
                        usual{0} = type(result)
                    elif not walking.accepts(result):
                        return None, {1}, result
                made = result
"""
_CALLED: Final = """\
                result = function{0}(made)
                if type(result) is not usual{0}:
                    if type(result) in known:
                        usual{0} = type(result)
                    else:
                        if is_awaited(type(result)):
                            result = await result
                        if not walking.accepts(result):
                            return None, {1}, result
                made = result
"""
_LAID: Final = """\
                if made is not none:
                    lay(made)
        except BaseException as raised:
"""
_SETTLED: Final = """\
                if made is none:
                    item.settle()
                else:
                    item.item = made
                    lay(item)
        except BaseException as raised:
            if item is not None:
                item.item = made
"""
_END: Final = """\
            error = walking.own_error(raised)
            if error is None:
                raise
            try:
                return error, {0}, made
            finally:
                del error, made{1}
        return None
    return walk, stop
"""


class Walking(Protocol):
    """Who walks."""

    def accepts(self, result: Any) -> bool:
        """Whether it goes on with a result of a sort that is not known; raises where it cannot be one."""

    def own_error(self, raised: BaseException) -> Exception | None:
        """What a function raised, as an error of its stage; ``None`` where it is not one."""


Ended = tuple[Exception | None, Any, Any] | None
"""How a walk has ended early: an error, if any, the item in hand, and what it, or its content, is by then."""

_Walk: TypeAlias = "Callable[[Walking, Iterable[Any]], CoroutineType[Any, Any, Ended]]"
_Binding = Callable[
    [Sequence[Callable[[Any], Any]], Callable[[Any], None], Any, Set[type]], tuple[_Walk, Callable[[], None]]
]


class Unrolled:
    """The loop over some functions.

    Only one walk at a time may be under way in it.

    Args:
        functions: What each stage does with an item.
        awaited: Of each, whether what its function returns is to be awaited.
        lay: Puts what the last one made into the edges behind it.
        none: What the last one returns where that is no result.
        kinds: Sorts of results that need no second look; they may become more.
        tracked: Items are tracked: functions get and make what is in them.

    Attributes:
        walk: The loop: takes items through every function.
        stop: Have it ask ``accepts`` about each result from now on, until it begins again.
    """

    __slots__ = ("_lines", "stop", "walk")

    def __init__(
        self,
        functions: Sequence[Callable[[Any], Any]],
        awaited: Sequence[bool],
        *,
        lay: Callable[[Any], None],
        none: Any,
        kinds: Set[type],
        tracked: bool = False,
    ) -> None:
        bind, self._lines = _written(tuple(awaited), tracked)
        self.walk, self.stop = bind(functions, lay, none, kinds)

    def place(self, line: int) -> int:
        """Which of the functions an item is in while this line is being done."""
        return max(bisect_right(self._lines, line) - 1, 0)


@lru_cache(maxsize=_SHAPES)
def _written(awaited: Sequence[bool], tracked: bool) -> tuple[_Binding, Sequence[int]]:
    """What makes the loop for functions of these kinds, and the line at which each is called."""
    usual = [f"usual{place}" for place in range(len(awaited))]
    functions = ", ".join(f"function{place}" for place in range(len(awaited)))
    item = "item" if tracked else "made"
    text = _BEGIN.format(functions=functions, usual=" = ".join(usual), names=", ".join(usual), item=item)
    if tracked:
        text += _TAKEN
    lines = []
    for place, awaits in enumerate(awaited):
        lines.append(text.count("\n") + 1)
        text += (_AWAITED if awaits else _CALLED).format(place, item)
    text += (_SETTLED if tracked else _LAID) + _END.format(item, ", item" if tracked else "")
    sort = "tracked stages" if tracked else "stages"
    name = f"<{sort} in a row: {', '.join('await' if each else 'call' for each in awaited)}>"
    # What a traceback shows; with no time of change it is never looked for in a file.
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    written: dict[str, Any] = {"is_awaited": is_awaited}
    exec(compile(text, name, "exec"), written)  # noqa: S102 - nothing in the text comes from outside
    return written["bind"], tuple(lines)
