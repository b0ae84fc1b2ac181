"""Followed: a stage's function that tells the instruments of its calls, and a worker process that does."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext
from itertools import groupby
from typing import Any, Final

from .._processes.series import Call
from .._threads.process import Outcome, ProcessTarget
from ..carried import Carried, stepped
from ..following import Entrusted, Passage
from ..stage import Stage
from .result import is_awaited

__all__ = ("FollowedTarget", "followed")

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
        return _ended(passage, made)
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


def _ended(passage: Passage, items: Generator[Any, Any, Any]) -> Generator[Any, None, None]:
    with passage:
        yield from stepped(passage.current, items)


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


class FollowedTarget(ProcessTarget):
    """As it is; what is followed goes to the process by itself, so that it is known how long it takes."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As of a ``ProcessTarget``."""
        if not self._many or not _is_followed((args, kwargs)):
            return super().__call__(*args, **kwargs)
        passage = args[0].begin(self._name)
        try:
            items = super().__call__(_carried(passage, args[0]), **kwargs)
        except BaseException as error:
            passage.end(error)
            raise
        return _ended(passage, items)

    def run_chunk(self, calls: Sequence[Call]) -> Iterator[Outcome]:
        """As of a ``ProcessTarget``."""
        run = super().run_chunk
        for told, part in groupby(calls, _is_followed):
            for some in ([each] for each in part) if told else (list(part),):
                made: Any = self._told(some, run) if told else run(some)
                with closing(made) as outcomes:
                    for outcome in outcomes:
                        yield outcome
                        if not outcome[0]:
                            return
                        del outcome

    def _told(self, calls: Sequence[Call], run: Callable[[Sequence[Call]], Iterator[Outcome]]) -> Any:
        """Of one call."""
        (((given,), kwargs),) = calls
        with given.begin(self._name) as passage:
            for succeeded, value in run([((_carried(passage, given),), kwargs)]):
                passage.end(None if succeeded else value)
                yield succeeded, value


def _is_followed(call: Call) -> bool:
    args, _ = call
    return len(args) == 1 and type(args[0]) is Entrusted


def _carried(passage: Passage, given: Entrusted) -> Carried:
    return Carried(passage.carried(pickle.dumps), given.args, given.kwargs)
