"""Any callable as one kind of call: the only module that knows what sort it is.

``one(item)`` awaits one result; ``each(item)`` opens a stream of them. Where it runs,
what its parameters are and how it is timed is settled here when the run starts.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from .._threads.chunk import Chunk
from .._threads.workshop import Workshop
from ..abc import Commits, Positions, Subscription
from ..entering import enter
from ..errors import StageTimeoutError
from ..following import Entrusted
from ..holes import HOLE
from ..operators.streamwise import opened
from ..parameters import spread
from ..stage import Stage
from ..when_called import when_called
from .clock import time_of
from .followed import followed
from .lane import Lane, LaneIterator, Target
from .opening import Opening, enter_any, one_by_one, open_source
from .rejoined import Rejoined, handing_over, members
from .result import checked, checked_coroutine, is_unsettled, settled, settled_and_checked
from .resume import Resume, committing

if TYPE_CHECKING:
    from .._threads.in_processes import process_setup
else:
    process_setup = when_called("asyncdataflow._threads.in_processes", "process_setup")

__all__ = ("Bound", "Call", "Calls", "Rejoined")

_THREAD_CHUNK: Final = 0.001

_PROCESS_CHUNK: Final = 0.005

T = TypeVar("T")

Each = Callable[[Any], AbstractAsyncContextManager[AsyncIterator[Any]]]


class Bound(NamedTuple):
    """What a stage's callable gets by name in this run, beside the item."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None
    items: Any = None


def _not_direct(item: Any) -> Any:
    raise NotImplementedError("this stage's function cannot be called with an item alone")


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Call:
    """One worker's way to its stage's callable.

    Attributes:
        one: Call with an item and wait for the result.
        each: Call with an item and iterate over what it makes; leaving closes it.
        apply: Call with these very arguments, for operators.
        direct: The function itself, where it takes an item and nothing has to be done about it.
        awaits: What that returns is to be awaited.
        settle: Of what a call in a thread has returned, the result.
        post: Call in a thread with one item after the other; tells when there is news.
    """

    one: Callable[[Any], Awaitable[Any]]
    each: Each
    apply: Callable[..., Awaitable[Any]]
    settle: Callable[[Any], Awaitable[Any]]
    post: Callable[[Iterable[Any], Callable[[Chunk], object]], Chunk]
    direct: Callable[[Any], Any] = _not_direct
    awaits: bool = False


class Calls:
    """A stage's callable in one run, with the threads or processes that it needs.

    Args:
        stage: A stage of a graph.
        bound: What the callable gets by name.
        room: Items that are sure to find room behind the stage.
        workshop: Where threads and processes come from.
        resumes: Of a sink that stores where its sources stand: what tells each of them, by name.
        follows: Instruments follow messages, and are told of calls.

    Attributes:
        lane: The threads.
        in_chunks: They can take several items at a time.
        is_direct: A worker's call has a ``direct`` function.
        chunk_seconds: How long it shall take them.
        workers_open: Each of them has something of its own to open.
        unopened: Workers that have yet to open what they work with, of those that do.
        on_opened: Called when the last of them has.
    """

    def __init__(
        self,
        stage: Stage[Any, Any],
        bound: Bound,
        room: Callable[[], int],
        workshop: Workshop,
        resumes: Mapping[str, Resume] | None = None,
        *,
        follows: bool = False,
    ) -> None:
        if stage.call is None:
            raise ValueError(f"{stage!r} is of no graph: it is not known how to call it")
        self.lane: Lane | None = None
        self.unopened = 0
        self.on_opened: Callable[[], None] | None = None
        self._stage = stage
        self._how = stage.call
        self._workshop = workshop
        self._shared: Call | None = None
        self._resumes = resumes or {}
        self._follows = follows
        self._bound = bound
        self._kwargs = dict(bound.kwargs) if bound.kwargs else {}
        # Workers side by side would each count the same room as their own.
        self._room = room if stage.concurrency == 1 else lambda: 0
        if stage.executor in ("thread", "process") or _read_in_a_thread(stage, bound):
            setup: Callable[[], AbstractContextManager[Target]] = self._thread_setup
            if stage.executor == "process":
                setup = process_setup(stage, self._kwargs, workshop, many=self._how.many, follows=follows)
            self._clock = time_of(asyncio.get_running_loop())
            self.lane = Lane(stage.title, stage.concurrency, setup, workshop)
        kind, alone = stage.call.kind, not stage.call.many and stage.timeout is None
        here, has_own = self.lane is None, bool(stage.per_worker) or kind in ("sink", "transactional_sink")
        self.workers_open = here and has_own
        self.in_chunks = not here and alone and kind == "function" and stage.role != "source"
        takes_item = stage.call.arguments == "item" and kind in ("coroutine", "function")
        self.is_direct = here and alone and takes_item
        self.chunk_seconds = _PROCESS_CHUNK if stage.executor == "process" else _THREAD_CHUNK

    def worker(self) -> AbstractAsyncContextManager[Call]:
        """A worker's call; what the worker has of its own is made on entry and closed on exit."""
        lane = self.lane
        if lane is not None:
            post = functools.partial(self._post, lane)
            made = (self._lane_one(lane), self._lane_each(lane), self._lane_apply(lane))
            return nullcontext(Call(*made, settled_and_checked, post))
        if self.workers_open:
            return Opening(self._enter_worker)
        return nullcontext(self.common)

    @property
    def common(self) -> Call:
        """The call that all workers have, where none has anything of its own."""
        if self._shared is None:
            self._shared = self._on_the_loop(self._given({}))
        return self._shared

    def begin(self, workers: int) -> None:
        """So many workers start."""
        if self.workers_open:
            self.unopened = workers
        elif self._how.kind in ("source", "ackable_source"):
            self.unopened = 1

    def opened(self, workers: int = 1) -> None:
        """So many have what they work with, or will never open it; a source may be opened again."""
        self.unopened = max(self.unopened - workers, 0)
        if not self.unopened and self.on_opened is not None:
            tell, self.on_opened = self.on_opened, None
            tell()

    async def _enter_worker(self, stack: AsyncExitStack) -> Call:
        call = await self._enter(stack)
        self.opened()
        return call

    async def _enter(self, stack: AsyncExitStack) -> Call:
        if self._how.kind == "sink":
            return self._on_the_loop(await stack.enter_async_context(self._stage.fn.open()))
        if self.keeps_positions:
            commits: Commits[Any] = await stack.enter_async_context(self._stage.fn.open())
            for source, resume in self._resumes.items():
                resume.tell(await commits.positions(source))
            return self._on_the_loop(committing(commits, self._resumes))
        own = {name: await enter_any(stack, make()) for name, make in self._stage.per_worker.items()}
        return self._on_the_loop(self._given(own))

    def _given(self, own: Mapping[str, Any]) -> Any:
        """The callable with what it gets by name."""
        function = self._stage.fn
        if not callable(function):
            return None
        by_name = {**self._kwargs, **own}
        return functools.partial(function, **by_name) if by_name else function

    def _on_the_loop(self, function: Any) -> Call:
        function = self._workshop.prepared(self._stage, function)
        if self._follows and function is not None:
            function = followed(self._stage, function)
        return Call(
            self._loop_one(function),
            _no_items if self.is_direct else self._loop_each(function),
            self._loop_apply(function),
            settled_and_checked,
            _post_nowhere,
            function if self.is_direct else _not_direct,
            self._how.kind == "coroutine",
        )

    @property
    def keeps_positions(self) -> bool:
        """A sink that stores where its sources stand, and is called with items and positions."""
        return self._how.kind == "transactional_sink"

    @property
    def most_at_once(self) -> int:
        """Items that a call takes, as a list where it takes more than one."""
        sink = self._how.kind in ("sink", "transactional_sink")
        return int(self._stage.fn.chunk) if sink else 1

    @property
    def is_answered(self) -> bool:
        """A source that wants to know what became of each message."""
        return self._how.kind == "ackable_source"

    def answered(self, after: Positions | None) -> AbstractAsyncContextManager[Subscription[Any]]:
        """Such a source, opened."""
        open_source = self._workshop.prepared(self._stage, self._stage.fn.open)
        opening: AbstractAsyncContextManager[Subscription[Any]] = open_source(after)
        return opening

    def let_go(self) -> None:
        """Forget what the callable got by name, when the run is over."""
        self._kwargs.clear()
        self._bound = Bound()
        self._shared = self.on_opened = None

    def _arguments(self, item: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._follows and type(item) is Entrusted:
            return (item.spread(*self._arguments(*item.args)),), {}
        if self._how.arguments == "params":
            return self._bound.args, {}
        if self._how.arguments == "spread" and item is not HOLE:
            return spread(item, self._how.spread_over)
        return (item,), {}

    def _loop_apply(self, function: Any) -> Callable[..., Awaitable[Any]]:
        timeout = self._stage.timeout

        async def apply(*args: Any, **kwargs: Any) -> Any:
            if timeout is None:
                return await settled(function(*args, **kwargs))
            try:
                async with asyncio.timeout(timeout) as scope:
                    return await settled(function(*args, **kwargs))
            except TimeoutError:
                if scope.expired():
                    raise StageTimeoutError(f"no result within timeout={timeout} s") from None
                raise

        return apply

    def _loop_one(self, function: Any) -> Callable[[Any], Awaitable[Any]]:
        if self._how.arguments == "item" and self._how.kind == "coroutine" and self._stage.timeout is None:
            return checked_coroutine(function)
        apply = self._loop_apply(function)

        async def one(item: Any) -> Any:
            args, kwargs = self._arguments(item)
            return checked(await apply(*args, **kwargs))

        return one

    def _loop_each(self, function: Any) -> Each:
        kind = self._how.kind
        if kind in ("async_iterable", "feed"):
            return lambda _: opened(self._bound.items if kind == "feed" else self._stage.fn)
        if kind == "source":
            return lambda _: open_source(self._stage.fn)
        if kind == "async_generator":
            return lambda item: opened(_called(function, *self._arguments(item)))
        if kind == "generator":
            return lambda item: opened(one_by_one(_called(function, *self._arguments(item))))
        apply = self._loop_apply(function)

        async def begin(item: Any, stack: AsyncExitStack) -> AsyncIterator[Any]:
            args, kwargs = self._arguments(item)
            return await members(stack, await apply(*args, **kwargs))

        return lambda item: Opening(functools.partial(begin, item))

    def _lane_apply(self, lane: Lane) -> Callable[..., Awaitable[Any]]:
        timeout = self._stage.timeout

        async def apply(*args: Any, **kwargs: Any) -> Any:
            try:
                return await settled(await lane.call(args, kwargs, timeout))
            except StageTimeoutError as error:
                if args and type(args[0]) is Entrusted:
                    args[0].end(error)
                raise

        return apply

    def _lane_one(self, lane: Lane) -> Callable[[Any], Awaitable[Any]]:
        apply = self._lane_apply(lane)

        async def one(item: Any) -> Any:
            args, kwargs = self._arguments(item)
            return checked(await apply(*args, **kwargs))

        return one

    def _post(self, lane: Lane, items: Iterable[Any], tell: Callable[[Chunk], object]) -> Chunk:
        arguments = None if self._how.arguments == "item" else self._arguments
        chunk = Chunk(items, arguments, is_unsettled, self._clock, tell)
        lane.post(chunk)
        return chunk

    def _lane_each(self, lane: Lane) -> Each:
        reading = self._how.kind in ("iterable", "feed")

        # What is handed over is iterated over here, so that nothing must be made ahead of it.
        room = self._room if self._how.kind != "function" else lambda: 0

        async def begin(item: Any, stack: AsyncExitStack) -> AsyncIterator[Any]:
            args, kwargs = ((), {}) if reading else self._arguments(item)
            iterator: LaneIterator = await lane.iterate(args, kwargs, room)
            stack.push_async_callback(iterator.aclose)
            return iterator if self._how.kind != "function" else Rejoined(iterator, stack)

        return lambda item: Opening(functools.partial(begin, item))

    @contextmanager
    def _thread_setup(self) -> Iterator[Target]:
        """Entered in each thread."""
        if self._how.kind == "iterable":
            yield lambda: self._stage.fn
        elif self._how.kind == "feed":
            yield lambda: self._bound.items
        else:
            with ExitStack() as stack:
                own = {name: enter(stack, make()) for name, make in self._stage.per_worker.items()}
                bound = {**self._kwargs, **own}
                target = functools.partial(self._stage.fn, **bound) if bound else self._stage.fn
                target = self._workshop.prepared(self._stage, target)
                target = followed(self._stage, target) if self._follows else target
                yield handing_over(target) if self._how.many and self._how.kind == "function" else target


def _read_in_a_thread(stage: Stage[Any, Any], bound: Bound) -> bool:
    """An iterable may block in ``next``; an async one may not."""
    kind = stage.call.kind if stage.call is not None else None
    return kind == "iterable" or (kind == "feed" and not isinstance(bound.items, AsyncIterable))


def _no_items(item: Any) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
    raise NotImplementedError("this stage makes one of each")


def _post_nowhere(items: Iterable[Any], tell: Callable[[Chunk], object]) -> Chunk:
    raise RuntimeError("a stage on the loop has no threads")


def _called(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)
