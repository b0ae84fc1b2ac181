"""DataFlow: what the user builds from a definition, and the ways to run it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ._runtime.run import Run
from .abc import Instrument
from .bound import bound
from .closing import completed
from .collected import collected, outcome
from .delivery import Delivery, check_name, delivery_problems
from .engine import Engine, LiveRun, Plan
from .errors import DefinitionError, DeliveryError, NeedsItemsError
from .given import as_params, check_engine, check_instruments, check_items, joined, joined_resources, spend
from .graph import Graph, named
from .iterate import SyncRun
from .local import LocalEngine
from .notation import Compiled, compile_definition
from .parameters import check
from .serving import serve
from .stage import Composable, Embedded
from .when_called import when_called

if TYPE_CHECKING:
    from .drawn import drawn
    from .push.open_run import OpenRun
    from .replaying import replayed
else:
    drawn = when_called("asyncdataflow.drawn", "drawn")
    OpenRun = when_called("asyncdataflow.push.open_run", "OpenRun")
    replayed = when_called("asyncdataflow.replaying", "replayed")

__all__ = ("DataFlow",)

In = TypeVar("In")
Out = TypeVar("Out")


class DataFlow(Embedded[In, Out], Generic[In, Out]):
    """A dataflow: built once from a definition, run any number of times, also at once.

    Building it opens and starts nothing; everything that can be known to be wrong with
    the definition is refused here.

    Args:
        definition: Nested tuples, lists, sets and dicts of callables, stages, sources and
            sinks; an expression with ``|``; or text such as ``"read, tail | parse | save"``.
            A bare callable is a definition of one stage.
        names: Where the names in a text are looked up: a mapping, a module or an object;
            only with text.
        name: What the flow is called in warnings and logs.
        resources: What stages get by the names of keyword-only parameters: a callable is
            called when a run starts and entered where it makes a context manager, anything
            else is passed as it stands.
        delivery: What is promised of its items when something fails: ``"at_most_once"``,
            ``"at_least_once"`` or ``"exactly_once"``; a definition that cannot keep it is refused.
            ``None`` is at least once for every source that can be answered, and nothing for others.
        fuse: Workers of neighbouring stages may stand in for each other: while nothing suspends,
            one takes an item through several stages. Order, errors, bounds and figures stay
            each stage's own; ``asyncio.current_task()`` and context variables that a stage
            sets for its next item do not. With false each stage keeps its worker.
        instruments: Who is told what becomes of each message in each run, such as
            ``observe.opentelemetry.OpenTelemetry()``. Of a flow in a definition, the outer one's are.

    Raises:
        DefinitionError: The definition can be known to be wrong; the message names the
            element's place and what to write instead.

    Example:
        >>> from asyncdataflow import DataFlow
        >>> def numbers(limit):
        ...     yield from range(limit)
        >>> async def square(n):
        ...     return n * n
        >>> DataFlow((numbers, square))(limit=4)
        [0, 1, 4, 9]
    """

    @overload
    def __init__(
        self,
        definition: Composable[In, Out],
        names: Any = None,
        *,
        name: str = "dataflow",
        resources: Mapping[str, Any] | None = None,
        fuse: bool = True,
        delivery: Delivery | None = None,
        instruments: Sequence[Instrument] = (),
    ) -> None: ...
    @overload
    def __init__(
        self: DataFlow[Any, Any],
        definition: Any,
        names: Any = None,
        *,
        name: str = "dataflow",
        resources: Mapping[str, Any] | None = None,
        fuse: bool = True,
        delivery: Delivery | None = None,
        instruments: Sequence[Instrument] = (),
    ) -> None: ...
    def __init__(
        self,
        definition: Any,
        names: Any = None,
        *,
        name: str = "dataflow",
        resources: Mapping[str, Any] | None = None,
        fuse: bool = True,
        delivery: Delivery | None = None,
        instruments: Sequence[Instrument] = (),
    ) -> None:
        self.definition = definition
        self.names = names
        self.name = name
        self._fed: Compiled | None = None
        check_name(delivery)
        self._needs_items: NeedsItemsError | None = None
        try:
            self._compiled = compile_definition(definition, names, delivery=delivery)
        except NeedsItemsError as refused:
            self._needs_items = refused
            try:
                self._compiled = self._fed = compile_definition(
                    definition, names, feed=True, delivery=delivery
                )
            except DeliveryError:
                raise
            except DefinitionError:
                raise refused from None
        self.resources: Mapping[str, Any] = MappingProxyType(
            joined_resources(self._compiled.resources, resources or {})
        )
        self.fuse = fuse
        self.instruments = check_instruments(instruments)
        self.delivery: Delivery | None = delivery
        self._spent: set[str] = set()
        self._checked: set[tuple[bool, frozenset[str]]] = set()

    def __repr__(self) -> str:
        """The flow's name and its stages."""
        return f"<DataFlow {self.name}: {', '.join(named(each) for each in self.graph.stages)}>"

    @property
    def graph(self) -> Graph:
        """The frozen description that the definition compiled to.

        Where the first step can only be fed by ``items=``, they are in it as a source.
        """
        return self._compiled.graph

    def draw(self, format: str = "text") -> str:
        """A picture of the graph.

        Args:
            format: ``"text"``, ``"mermaid"``, ``"dot"`` or ``"svg"``.

        Raises:
            ValueError: The format is none of these.
        """
        return drawn(self.graph, format)

    def bound(self, buffer: int = 128, *, items: bool = False) -> int:
        """The most source items that a run has taken and not yet settled.

        Args:
            buffer: Results that the output edge holds, as given to ``stream``.
            items: Of a run that is given ``items=``, whose first step takes them over an edge.
        """
        return bound(self._with_feed().graph if items else self.graph, buffer)

    def __call__(self, params: Mapping[str, Any] | None = None, /, **named_params: Any) -> Any:
        """Run to the end: from synchronous code the result, inside a running loop its awaitable.

        Args:
            params: Run parameters by name; also as keywords.
            **named_params: As above.

        Returns:
            As :meth:`run`.
        """
        given = joined(as_params(params), named_params)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            run = self.stream(given)
            value, error = completed(outcome(run), lambda: run.left_behind)
        else:
            return self.run(given)
        if error is None:
            return value
        try:
            raise error
        finally:
            # The error's traceback holds this frame.
            del error

    def run(
        self, params: Mapping[str, Any] | None = None, *, items: Any = None, engine: Engine | None = None
    ) -> Awaitable[Any]:
        """Run to the end.

        Of a source that is answered, what has come out is done with, also where the run fails
        later and nothing is returned: end in a sink, or use :meth:`stream`, where that matters.

        Args:
            params: Run parameters by name.
            items: An iterable or async iterable whose items the first step takes, instead of
                being a source.
            engine: Where the workers live; ``None`` is this machine.

        Returns:
            The value itself where the graph can make only one, with one place per branch of
            a last group (a tuple, after a set or dict a dict); else the list of all results.

        Raises:
            ParameterError: A parameter is missing, or used by nobody.
            BaseException: What failed first in any stage, as it was raised.
        """
        return collected(self.stream(params, items=items, engine=engine))

    @overload
    def stream(
        self,
        params: Mapping[str, Any] | None = None,
        *,
        items: Any = None,
        engine: None = None,
        buffer: int = 128,
    ) -> Run[Out]: ...
    @overload
    def stream(
        self, params: Mapping[str, Any] | None = None, *, items: Any = None, engine: Engine, buffer: int = 128
    ) -> LiveRun[Out]: ...
    def stream(
        self,
        params: Mapping[str, Any] | None = None,
        *,
        items: Any = None,
        engine: Engine | None = None,
        buffer: int = 128,
    ) -> LiveRun[Out]:
        """Results as they come, at the consumer's pace.

        Args:
            params: Run parameters by name.
            items: An iterable or async iterable whose items the first step takes, instead of
                being a source. An iterator is used up by one run.
            engine: Where the workers live; ``None`` is this machine.
            buffer: Results that may lie ready, at least 1.

        Returns:
            A run: ``async with flow.stream(…) as run: async for result in run``. It has
            not started yet.

        Raises:
            ParameterError: A parameter is missing, or used by nobody; ``engine`` is no engine.
            ValueError: ``buffer`` is below 1.
        """
        check_engine(engine)
        return (engine or LocalEngine()).begin(self._planned(params, items, buffer))

    def open(
        self, params: Mapping[str, Any] | None = None, *, limit: int = 1000, engine: Engine | None = None
    ) -> OpenRun[Out]:
        """A run that is given items one by one: ``async with flow.open(…) as run: await run.call(item)``.

        The first step takes the items. One that fails is the error of its own ``call``.

        Args:
            params: Run parameters by name.
            limit: Most calls under way; a further one waits.
            engine: As in :meth:`stream`.

        Raises:
            DefinitionError: The first step takes no items, or a call would have to wait for others.
            ParameterError: As in :meth:`stream`.
        """
        check_engine(engine)
        graph, given = self._with_feed("open() gives it items", "it").graph, as_params(params)
        self._check(graph, given)
        begin = (engine or LocalEngine()).begin
        plan = self._plan(graph, given)
        return OpenRun(self.name, graph, limit, lambda graph: begin(replace(plan, graph=graph)))

    def replay(
        self,
        letters: Any,
        params: Mapping[str, Any] | None = None,
        *,
        engine: Engine | None = None,
        buffer: int = 128,
    ) -> LiveRun[Out]:
        """Feed dead letters back, each to the stage where it failed, and run on from there.

        What fails again goes to the flow's dead-letter sinks again. Letters from an
        ``AckableSource`` are acked when what is made of them is done.

        Args:
            letters: A ``Source`` or ``AckableSource`` of letters, or an iterable of them: a
                ``DeadLetter``, or a mapping with its ``"stage"`` and ``"item"``, as
                ``DeadLetter.as_dict`` gives it.
            params: Run parameters of the stages that take part.
            engine: As in :meth:`stream`.
            buffer: As in :meth:`stream`.

        Returns:
            A run, as :meth:`stream` gives it.

        Raises:
            DefinitionError: No stage sends dead letters, or branches meet behind one that does.
            ParameterError: As in :meth:`stream`.

        Example:
            >>> import asyncio
            >>> from asyncdataflow import DataFlow, dead_letter, stage
            >>> rejects, known = [], {"a": 1}
            >>> def look_up(name): return known[name]
            >>> flow = DataFlow((iter(["a", "b"]), stage(look_up, on_error=dead_letter(rejects.append)), str))
            >>> flow()
            ['1']
            >>> known["b"] = 2
            >>> async def again():
            ...     async with flow.replay(rejects) as run:
            ...         return [result async for result in run]
            >>> asyncio.run(again())
            ['2']
        """
        check_engine(engine)
        graph = replayed(self.graph, letters)
        unkept = delivery_problems(graph, None)
        if unkept:
            raise DeliveryError("\n".join(unkept))
        given = as_params(params)
        check(graph, given, self.resources)
        items = letters if graph.stages[0].call is not None and graph.stages[0].call.kind == "feed" else None
        return (engine or LocalEngine()).begin(self._plan(graph, given, items, buffer))

    def iterate(
        self, params: Mapping[str, Any] | None = None, *, items: Any = None, buffer: int = 128
    ) -> SyncRun[Out]:
        """Results as they come, for synchronous code, on a loop in a thread of its own.

        Args:
            params: Run parameters by name.
            items: As in :meth:`stream`.
            buffer: As in :meth:`stream`.

        Returns:
            An iterator that is also a context manager; leaving it stops the run.

        Raises:
            ParameterError: A parameter is missing, or used by nobody.
        """
        run = self.stream(params, items=items, buffer=buffer)
        return SyncRun(lambda: run)

    serve = serve

    def _planned(self, params: Mapping[str, Any] | None, items: Any, buffer: int) -> Plan:
        """What an engine is given, checked; an iterator in it is used up by that."""
        if items is None and self._needs_items is not None:
            raise NeedsItemsError(str(self._needs_items))
        check_items(items)
        compiled = self._compiled if items is None else self._with_feed()
        given = as_params(params)
        self._check(compiled.graph, given)
        if not isinstance(buffer, int) or buffer < 1:
            raise ValueError(f"stream(buffer=): a whole number of at least 1 is needed, not {buffer!r}")
        spend(compiled.graph, self._spent)
        return self._plan(compiled.graph, given, items, buffer)

    def _plan(self, graph: Graph, given: Mapping[str, Any], items: Any = None, buffer: int = 128) -> Plan:
        """Checked, with what every run of the flow has."""
        return Plan(self.name, graph, given, self.resources, items, buffer, self.fuse, self.instruments)

    def _check(self, graph: Graph, given: Mapping[str, Any]) -> None:
        """Refuse parameters that cannot be right; only their names matter, and which was right stays so."""
        names = (graph is self.graph, frozenset(given))
        if names not in self._checked:
            check(graph, given, self.resources)
            self._checked.add(names)

    def _with_feed(self, given: str = "the run was given items=", leave: str = "items=") -> Compiled:
        if self._fed is None:
            try:
                self._fed = compile_definition(self.definition, self.names, feed=True, delivery=self.delivery)
            except DefinitionError as refused:
                raise type(refused)(
                    f"{refused} ({given}, which the first step takes; leave {leave} out, or the source)"
                ) from None
        return self._fed
