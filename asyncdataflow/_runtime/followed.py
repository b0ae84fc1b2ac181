"""Followed: a stage's function that tells the instruments of its calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, nullcontext
from typing import Any, Final

from ..following import Entrusted, Passage, ended
from ..stage import Stage
from .result import is_awaited

__all__ = ("followed",)

_END: Final = object()
_NOTHING: Final = nullcontext()


def followed(stage: Stage[Any, Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """A stage's function that is called with what is entrusted to it, or as ever.

    Args:
        stage: The stage.
        function: What its workers call, on the loop or in a thread.
    """
    name = stage.title
    many = stage.call is not None and stage.call.many
    wait, finish = (_opening, _items) if many else (_awaiting, _done)
    # To call it is to begin nothing yet.
    later = stage.call is not None and stage.call.kind in ("coroutine", "generator", "async_generator")

    def call(*args: Any, **kwargs: Any) -> Any:
        if not args or type(args[0]) is not Entrusted:
            return function(*args, **kwargs)
        given = args[0]
        passage = given.begin(name)
        try:
            with _NOTHING if later else passage.current():
                made = function(*given.args, **given.kwargs, **kwargs)
        except BaseException as error:
            passage.end(error)
            raise
        if not is_awaited(type(made)):
            return finish(passage, made)
        return wait(passage, made) if later else _Later(wait, passage, made)

    return call


class _Later:
    """What a plain function has left to be awaited: a coroutine would complain where nobody does any more."""

    __slots__ = ("_made", "_passage", "_wait")

    def __init__(self, wait: Callable[[Passage, Any], Any], passage: Passage, made: Any) -> None:
        self._wait = wait
        self._passage = passage
        self._made = made

    def __await__(self) -> Generator[Any, Any, Any]:
        awaiting: Generator[Any, Any, Any] = self._wait(self._passage, self._made).__await__()
        return awaiting


def _items(passage: Passage, made: Any) -> Any:
    if isinstance(made, Generator):
        return ended(passage, made)
    if isinstance(made, AsyncGenerator):
        return _stepping(passage, made)
    return _done(passage, made)


def _done(passage: Passage, made: Any) -> Any:
    passage.end(None)
    return made


async def _opening(passage: Passage, made: Any) -> Any:
    """What makes items has to be awaited first; the call is over behind the last of them."""
    with ExitStack() as failing:
        failing.enter_context(passage)
        with passage.current():
            items = await made
        failing.pop_all()
    return _items(passage, items)


async def _awaiting(passage: Passage, made: Any) -> Any:
    with passage, passage.current():
        return await made


async def _stepping(passage: Passage, items: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, None]:
    with passage:
        try:
            while True:
                with passage.current():
                    item = await anext(items, _END)
                if item is _END:
                    return
                yield item
                del item  # Else it lives until the next one comes.
        finally:
            with passage.current():
                await items.aclose()
