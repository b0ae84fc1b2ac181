"""A tuple of async-data-flow as a definition of this runtime, and what may stand in one.

One adapter stage stands for each function: a coroutine function's on the loop, a plain
function's in a thread. A group of two functions, a nested tuple and one more function becomes::

    copied, (entered, (function, function, [copied, *nested, (function, last)])), collected

What stands behind a nested tuple takes what that returned, and only it waits for that. Every
branch ends in a pair of its place in the order and what it has to say; ``collected`` merges
those in that order, each as soon as all before it are there, so that neither speed nor kind
decides which failure is seen.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..naming import callable_name
from ..operators import through
from .exceptions import (
    DataFlowEmptyError,
    DataFlowFunctionArgsError,
    DataFlowFunctionResultError,
    DataFlowMergeResultError,
    DataFlowNotCallableError,
    DataFlowNotTupleError,
)

__all__ = ("Passing", "check", "sequence")

_ENTERED, _LAST, _FIRST = range(3)
"""Places in the order of a group: its arguments, those that came through its nested tuples, its functions."""


@dataclass(frozen=True, slots=True)
class Passing:
    """What flows.

    Attributes:
        arguments: For the next function.
        initial: The call's own, where every function is to see them; else empty.
    """

    arguments: dict[Any, Any]
    initial: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a function returned or raised."""

    result: Any = None
    error: Exception | None = None

    def value(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result


_Finish = Callable[[Passing, _Outcome | None], Any]
"""From what a function was offered, and what came of it unless it was passed over, to what flows on."""


def check(dataflow: Any) -> None:
    """Refuse what 0.0.1 refuses; a callable that is iterable counts as iterable.

    Raises:
        DataFlowDefinitionError: One of its subclasses says what is wrong.
    """
    if not isinstance(dataflow, tuple):
        raise DataFlowNotTupleError(dataflow)
    if not dataflow:
        raise DataFlowEmptyError
    for element in dataflow:
        if isinstance(element, Iterable):
            check(element)
        elif callable(element):
            _check_parameters(element)
        else:
            raise DataFlowNotCallableError(element)


def _check_parameters(function: Callable[..., Any]) -> None:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise DataFlowFunctionArgsError(function.__name__, parameter)


def sequence(dataflow: tuple[Any, ...], cumulative: bool) -> list[Any]:
    """The steps of a tuple, one after the other.

    Args:
        dataflow: What :func:`check` has let pass.
        cumulative: Every step passes its own arguments on with its result.
    """
    steps: list[Any] = []
    for element in dataflow:
        if isinstance(element, tuple):
            branches = (_end(_ENTERED), _members(element, itertools.count(_FIRST), cumulative))
            steps += [_copied, branches, through(_collector(cumulative))]
        else:
            steps.append(_adapter(element, _step(element, cumulative)))
    return steps


def _members(members: tuple[Any, ...], places: Iterator[int], cumulative: bool) -> list[Any]:
    """The steps that stand for the members of a group, from one of them on."""
    if not members:
        return [_end(_LAST)]
    if isinstance(members[0], tuple):
        return [_copied, *sequence(members[0], cumulative), *_members(members[1:], places, cumulative)]
    functions = list(itertools.takewhile(lambda member: not isinstance(member, tuple), members))
    adapters = [
        _adapter(function, _placed(function, place))
        for function, place in zip(functions, places, strict=False)
    ]
    return [(*adapters, _members(members[len(functions) :], places, cumulative))]


def _adapter(function: Callable[..., Any], finish: _Finish) -> Callable[[Passing], Any]:
    """A stage that calls the function if its arguments are all there, and it has any.

    ``getfullargspec``, unlike ``signature``, counts ``self`` and does not follow
    ``__wrapped__``: both decide which functions are passed over, and 0.0.1 uses it.
    """
    names = inspect.getfullargspec(function).args

    def chosen(passing: Passing) -> dict[str, Any]:
        try:
            return {name: passing.arguments[name] for name in names}
        except KeyError:
            return {}

    async def on_loop(passing: Passing) -> Any:
        arguments = chosen(passing)
        try:
            outcome = _Outcome(await function(**arguments)) if arguments else None
        except Exception as error:  # noqa: BLE001 - `finish` says when it is raised
            outcome = _Outcome(error=error)
        return finish(passing, outcome)

    def in_thread(passing: Passing) -> Any:
        arguments = chosen(passing)
        try:
            outcome = _Outcome(function(*arguments.values())) if arguments else None
        except Exception as error:  # noqa: BLE001 - as above
            outcome = _Outcome(error=error)
        return finish(passing, outcome)

    adapter = on_loop if inspect.iscoroutinefunction(function) else in_thread
    adapter.__name__ = callable_name(function)
    return adapter


def _step(function: Callable[..., Any], cumulative: bool) -> _Finish:
    """Of a sequence: its result is what the next one takes."""

    def finish(passing: Passing, outcome: _Outcome | None) -> Passing:
        if outcome is None:
            return passing
        result = outcome.value()
        if result and not isinstance(result, dict):
            raise DataFlowFunctionResultError(function.__name__)
        arguments = result if isinstance(result, dict) else {}
        _merge(arguments, passing.initial)
        if cumulative:
            _merge(arguments, passing.arguments)
        return Passing(arguments, passing.initial)

    return finish


def _placed(function: Callable[..., Any], place: int) -> _Finish:
    """Of a group: whoever collects decides, and would be named for what failed here."""

    def finish(passing: Passing, outcome: _Outcome | None) -> tuple[int, _Outcome | None]:
        if outcome is not None and outcome.error is not None:
            outcome.error.add_note(f"in stage {callable_name(function)}, of a group")
        return place, outcome

    return finish


def _end(place: int) -> Callable[[Passing], Any]:
    async def end(passing: Passing) -> tuple[int, Passing]:
        return place, passing

    return end


async def _copied(passing: Passing) -> Passing:
    """Entering a tuple copies: a dict of another class becomes a plain one, whose keys are text."""
    return Passing(dict(**passing.arguments), passing.initial)


def _collector(cumulative: bool) -> Callable[[AsyncIterator[Any]], AsyncIterator[Passing]]:
    async def collected(arrivals: AsyncIterator[tuple[int, Any]]) -> AsyncIterator[Passing]:
        arrived: dict[int, Any] = {}
        merged: dict[Any, Any] | None = None
        due = _ENTERED
        async for place, said in arrivals:
            arrived[place] = said
            while due in arrived:
                if due >= _FIRST and arrived[due] is not None:
                    merged = {} if merged is None else merged
                    _merge(merged, arrived[due].value())
                due += 1
        passing = arrived[_LAST]
        arguments = dict(passing.arguments) if merged is None else merged
        _merge(arguments, passing.initial)
        if cumulative:
            _merge(arguments, arrived[_ENTERED].arguments)
        yield Passing(arguments, passing.initial)

    return collected


def _merge(into: dict[Any, Any], other: Any) -> None:
    """Add in place; a key that both have needs one value.

    ``other`` may be anything that a function of a group returned: what is neither a dict
    nor falsy fails, or passes, in the operations themselves.
    """
    if not other:
        return
    if into:
        shared = into.keys() & other.keys()
        if {key: into[key] for key in shared} != {key: other[key] for key in shared}:
            raise DataFlowMergeResultError(other.keys(), into.keys())
    into.update(other)
