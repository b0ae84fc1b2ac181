"""Injection: faults put around a stage's function, at the places where it could meet them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any, Final

from ..frames import awaited_frames
from ..stage import Stage
from .faults import Faults
from .seeded_loop import SeededLoop
from .simulated_threads import SimulatedThread

__all__ = ("Injector",)

_SLEEPS: Final = ("sleep", "__sleep0")
"""Functions of asyncio whose awaits may raise anything.

Its locks, queues, ``wait_for`` and the like may be cancelled, but no error comes out of their
own awaits, and they are not made for one: it would leave them broken as nothing real does. The
same goes for a run inside a stage.
"""


class Injector:
    """Decides, out of the loop's seed, what goes wrong where.

    Args:
        loop: Whose seed it is.
        faults: What may.
        note: Takes what did, in words.
        raise_from: Instead of by share: the first place from this step on where a stage may
            raise is where one does; for a sweep.

    Attributes:
        struck: How often each fault came.
        raised: Every exception that was put in.
        places: The kinds of faults that could have come somewhere.
    """

    def __init__(
        self, loop: SeededLoop, faults: Faults, note: Callable[[str], None], raise_from: int | None = None
    ) -> None:
        self._loop = loop
        self._faults = faults
        self._note = note
        self._raise_from = raise_from
        self._active = faults != Faults() or raise_from is not None
        self.struck: Counter[str] = Counter()
        self.raised: list[BaseException] = []
        self.places: set[str] = set()

    def meets(self, stage: Stage[Any, Any]) -> bool:
        """Whether faults come to this stage."""
        return not self._faults.only or stage.title in self._faults.only

    @property
    def may_repeat(self) -> bool:
        """Whether a source may give an item again."""
        return bool(self._faults.redelivers or self._faults.reconnects)

    def meets_source(self, stage: Stage[Any, Any]) -> bool:
        """Whether faults of a source come to this one."""
        return self.meets(stage) and bool(self.may_repeat or self._faults.ends_early)

    def strikes(self, kind: str, where: str) -> bool:
        """Whether a fault of this kind comes here."""
        share: float = getattr(self._faults, kind)
        if not share:
            return False
        self.places.add(kind)
        if self._loop.draw.random() >= share:
            return False
        self._tell(kind, where)
        return True

    def delay(self) -> float:
        """Virtual seconds that something takes."""
        return self._faults.delay * self._loop.draw.random()

    def error(self, kind: str, where: str) -> Exception | None:
        """What is raised here, if anything."""
        if kind == "raises" and self._raise_from is not None and self._loop.steps >= self._raise_from:
            self._raise_from = None
            self._tell(kind, where)
        elif not self.strikes(kind, where):
            return None
        error = self._faults.error(f"a fault of the simulation, {where}")
        self.raised.append(error)
        return error

    def cancellation(self, where: str) -> asyncio.CancelledError | None:
        """A cancellation by nobody, if there is one."""
        if not self.strikes("cancelled", where):
            return None
        error = asyncio.CancelledError("a fault of the simulation")
        self.raised.append(error)
        return error

    def prepared(self, stage: Stage[Any, Any], function: Any) -> Any:
        """A stage's function with faults around it."""
        if function is None or stage.call is None or not self._active or not self.meets(stage):
            return function
        kind = stage.call.kind
        if kind in ("coroutine", "sink"):
            return self._coroutine(stage, function)
        if kind == "async_generator":
            return self._async_generator(stage, function)
        if kind == "generator":
            return self._generator(stage, function)
        return self._function(stage, function)

    def _coroutine(self, stage: Stage[Any, Any], function: Any) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self._begin(stage)
            if self.strikes("slow", f"in {stage.title}"):
                await asyncio.sleep(self.delay())
            called = function(*args, **kwargs)
            result = await _Interposed(self, stage, called, called)
            if stage.role == "sink" and self.strikes("late", f"behind {stage.title}"):
                await asyncio.sleep(self.delay())
            self._end(stage)
            return result

        return call

    def _async_generator(self, stage: Stage[Any, Any], function: Any) -> Any:
        async def each(*args: Any, **kwargs: Any) -> Any:
            self._begin(stage)
            items = function(*args, **kwargs)
            try:
                while True:
                    try:
                        item = await _Interposed(self, stage, anext(items), items)
                    except StopAsyncIteration:
                        break
                    yield item
                    del item
            finally:
                await items.aclose()
            self._end(stage)

        return each

    def _generator(self, stage: Stage[Any, Any], function: Any) -> Any:
        def each(*args: Any, **kwargs: Any) -> Any:
            self._begin(stage)
            self._take_time(stage)
            yield from function(*args, **kwargs)
            self._end(stage)

        return each

    def _function(self, stage: Stage[Any, Any], function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._begin(stage)
            self._take_time(stage)
            result = function(*args, **kwargs)
            self._end(stage)
            return result

        return call

    def _begin(self, stage: Stage[Any, Any]) -> None:
        error = self.error("raises", f"before {stage.title}")
        if error is None and stage.role == "sink":
            error = self.error("refuses", f"in place of {stage.title}")
        if error is not None:
            raise error

    def _end(self, stage: Stage[Any, Any]) -> None:
        error = self.error("raises", f"behind {stage.title}")
        if error is not None:
            raise error

    def _take_time(self, stage: Stage[Any, Any]) -> None:
        """Called in a thread; on the loop nothing can take time without an await."""
        thread = threading.current_thread()
        if isinstance(thread, SimulatedThread) and self.strikes("slow", f"in {stage.title}"):
            thread.sleep(self.delay())

    def _tell(self, kind: str, where: str) -> None:
        self.struck[kind] += 1
        self._note(f"fault ({kind}) {where}")


class _Interposed:
    """An awaitable with faults at each of its awaits.

    Args:
        injector: Decides.
        stage: Whose it is.
        awaitable: What is waited for.
        frames: The coroutine or async generator that runs in it.
    """

    def __init__(self, injector: Injector, stage: Stage[Any, Any], awaitable: Any, frames: Any) -> None:
        self._injector = injector
        self._stage = stage
        self._awaitable = awaitable
        self._frames = frames

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._awaitable.__await__()
        error: BaseException | None = None
        while True:
            try:
                waited = inner.send(None) if error is None else inner.throw(error)
            except StopIteration as done:
                return done.value
            try:
                yield waited
                error = self._fault()
                if error is None and self._injector.strikes("slow", f"in {self._stage.title}, at an await"):
                    yield from asyncio.sleep(self._injector.delay()).__await__()
            except BaseException as thrown:  # noqa: BLE001 - for the coroutine, which takes it as at any await
                error = thrown

    def _fault(self) -> BaseException | None:
        where = f"in {self._stage.title}, at an await"
        error = self._injector.error("raises", where) if _may_raise(self._frames) else None
        return error or self._injector.cancellation(where)


def _may_raise(awaited: Any) -> bool:
    """Whether what is waited for in there is of a kind from which errors come."""
    *_, innermost = (None, *awaited_frames(awaited))
    if innermost is None:
        return False
    package = innermost.f_globals.get("__name__", "").partition(".")[0]
    return innermost.f_code.co_name in _SLEEPS or package not in ("asyncio", "asyncdataflow")
