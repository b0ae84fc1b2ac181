"""A stage in its place: how it is called, where it runs, and whether its options make sense there."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

from .errors import DefinitionError, NeedsItemsError, SignatureError
from .naming import callable_name, place
from .operators.protocol import BatchOperator, ItemOperator, StreamOperator
from .options import Executor
from .policy import DeadLetterPolicy
from .signature import is_foreign, needs_by_place, no_item, read, takes_by_place, underlying
from .stage import Call, Parameter, Stage
from .when_called import when_called

if TYPE_CHECKING:
    from .portable import explain_unportable
else:
    explain_unportable = when_called("asyncdataflow.portable", "explain_unportable")

__all__ = ("fit_dead_letter_sink", "fit_feed", "fit_source", "fit_step", "judge")

_SOURCES: Final = ("iterable", "async_iterable", "source", "ackable_source")
_SINKS: Final = ("sink", "transactional_sink")
_OBJECTS: Final = (*_SOURCES, *_SINKS)
_ON_LOOP: Final = (
    "coroutine",
    "async_generator",
    "async_iterable",
    "source",
    "ackable_source",
    *_SINKS,
    "operator",
    "feed",
)
_DEFAULT: Final = Stage[Any, Any](None)
_WRITTEN: Final = {
    "coroutine": "an async def function",
    "function": "a plain function",
    "async_generator": "an async generator function",
    "generator": "a generator function",
    "async_iterable": "an async iterable",
    "iterable": "an iterable",
    "source": "a Source",
    "ackable_source": "an AckableSource",
    "sink": "a Sink",
    "transactional_sink": "a TransactionalSink",
    "operator": "an operator",
}


def judge(stage: Stage[Any, Any], path: str) -> Call:
    """What sort of callable a stage runs, its parameters, and whether it makes many.

    Raises:
        DefinitionError: ``many`` or ``per_worker`` does not fit it.
    """
    where = place(path, stage.title)
    if isinstance(stage.operator, StreamOperator):
        return _judge_stream_operator(stage, where)
    if stage.operator is not None and stage.fn is None:
        return Call("operator")
    call = read(stage.fn, where)
    if stage.per_worker and call.kind in _OBJECTS:
        raise DefinitionError(
            f"{where}: per_worker= is passed to a function, and this is {_written(stage, call)}"
        )
    if stage.many is not None and (call.kind in _OBJECTS or stage.operator is not None):
        raise DefinitionError(f"{where}: many= belongs to functions, and this is {_written(stage, call)}")
    if stage.many is False and call.many:
        raise DefinitionError(f"{where}: many=False is senseless on {_written(stage, call)}; leave it out")
    if stage.operator is not None and call.many:
        raise DefinitionError(
            f"{where}: the function given to {stage.label or stage.title} is {_WRITTEN[call.kind]}; it has "
            "to return its answer: one value"
        )
    return dataclasses.replace(
        call, many=call.many or stage.many is True, parameters=_without_per_worker(stage, call, where)
    )


def fit_feed(stage: Stage[Any, Any], call: Call, path: str) -> Stage[Any, Any]:
    """The stage that gives the items of a run."""
    return dataclasses.replace(
        stage, call=dataclasses.replace(call, arguments="params"), role="source", path=path, executor="loop"
    )


def fit_source(stage: Stage[Any, Any], call: Call, path: str) -> Stage[Any, Any]:
    """The stage as one of the first step.

    Raises:
        DefinitionError: It cannot be a source, or has options that no source can have.
    """
    where = place(path, stage.title)
    if stage.operator is not None:
        raise NeedsItemsError(
            f"{where}: an operator needs items to work on; put a source before it, or give the run items="
        )
    if call.kind in _SINKS:
        raise NeedsItemsError(
            f"{where}: {_WRITTEN[call.kind]} takes items; put what makes them before it, or give the run "
            "items="
        )
    if is_foreign(underlying(stage.fn)):
        _refuse_needs(call, where)
    # A function makes sense with these where a run gives it items; an iterable never does.
    refusal = DefinitionError if call.kind in _OBJECTS else NeedsItemsError
    _refuse(
        stage,
        ("concurrency", "key"),
        where,
        "a source takes no items that could be worked on at once",
        refusal,
    )
    _refuse(
        stage,
        ("buffer", "durable", "overflow"),
        where,
        "no edge leads into a source; give it to the stage behind",
        NeedsItemsError,
    )
    _check_restart(stage, call, where)
    if call.kind == "ackable_source" and not stage.fn.max_unacked >= 1:
        raise DefinitionError(f"{where}: its max_unacked= is at least 1, not {stage.fn.max_unacked!r}")
    if call.many:
        _refuse(
            stage,
            ("retry", "timeout", "on_error"),
            where,
            f"it cannot be taken up again in the middle, and this is {_written(stage, call)}; handle the "
            "error inside it",
            refusal,
        )
    return _fitted(stage, dataclasses.replace(call, arguments="params"), "source", path, where)


def _check_restart(stage: Stage[Any, Any], call: Call, where: str) -> None:
    if not call.many:
        _refuse(stage, ("restart",), where, "a function that makes one item is called again by retry=")
    if isinstance(stage.fn, Iterator | AsyncIterator):
        _refuse(stage, ("restart",), where, "an iterator cannot be begun anew; write a generator function")


def fit_step(
    stage: Stage[Any, Any], call: Call, path: str, role: Literal["transform", "sink"]
) -> Stage[Any, Any]:
    """The stage as one behind another.

    Raises:
        DefinitionError: It cannot stand there, or has options that make no sense.
        SignatureError: It takes no item.
    """
    where = place(path, stage.title)
    _refuse(stage, ("restart",), where, "only a source is opened anew; a stage of items has retry=")
    if call.kind in _SOURCES:
        raise DefinitionError(
            f"{where}: {_WRITTEN[call.kind]} makes items and takes none; it can only stand first. Put it "
            "into the first step, or write a function of an item"
        )
    if call.kind == "operator":
        return _fitted(stage, call, role, path, where)
    if call.kind in _SINKS:
        if role != "sink":
            raise DefinitionError(f"{where}: {_WRITTEN[call.kind]} is a destination and can only stand last")
        _check_chunk(stage, where)
        return _fitted(stage, dataclasses.replace(call, arguments="item"), role, path, where)
    if call.known and not takes_by_place(call) and not call.open_ended:
        raise no_item(where)
    if call.many:
        _refuse(
            stage,
            ("timeout",),
            where,
            f"{_written(stage, call)} waits for whoever takes its items, which a timeout cannot tell from "
            "slowness",
        )
    several = len(needs_by_place(call)) > 1
    if isinstance(stage.operator, BatchOperator):
        _check_batch_operator(stage, where, several=several)
    call = dataclasses.replace(call, arguments="spread" if several else "item")
    return _fitted(stage, call, role, path, where)


def _check_chunk(stage: Stage[Any, Any], where: str) -> None:
    chunk = stage.fn.chunk
    if not isinstance(chunk, int) or isinstance(chunk, bool) or chunk < 1:
        raise DefinitionError(f"{where}: its chunk= is the most items in one call, at least 1, not {chunk!r}")
    if chunk > 1 and stage.key is not None:
        raise DefinitionError(
            f"{where}: key= keeps the order of single items, and this sink takes up to chunk={chunk} in one "
            "call; give it concurrency=1 and no key=, which keeps all order, or chunk=1"
        )


def fit_dead_letter_sink(stage: Stage[Any, Any], call: Call, path: str) -> Stage[Any, Any]:
    """The stage as one that takes what failed elsewhere.

    Raises:
        DefinitionError: It is no destination of single items.
    """
    where = place(path, stage.title)
    if call.many or call.kind not in ("coroutine", "function", "sink") or stage.operator is not None:
        raise DefinitionError(
            f"{where}: a dead-letter sink is a function of one item or a Sink, not {_written(stage, call)}"
        )
    if len(needs_by_place(call)) > 1:
        raise SignatureError(
            f"{where}: it is given one DeadLetter, and needs {len(needs_by_place(call))} arguments"
        )
    if isinstance(stage.on_error, DeadLetterPolicy):
        raise DefinitionError(
            f"{where}: the failure of a dead-letter sink stops the run; give it retry= rather than another "
            "sink"
        )
    return fit_step(stage, call, path, "sink")


def _fitted(
    stage: Stage[Any, Any], call: Call, role: Literal["source", "transform", "sink"], path: str, where: str
) -> Stage[Any, Any]:
    if isinstance(stage.operator, StreamOperator):
        _check_stream_operator(stage, where)
    elif stage.operator is not None and stage.fn is None:
        _refuse(
            stage, ("concurrency", "key", "retry", "timeout", "per_worker"), where, "it calls no function"
        )
    _check_makers(stage, where)
    executor = _executor(stage, call, where)
    if executor == "process":
        _check_portable(stage, where)
    return dataclasses.replace(stage, call=call, role=role, path=path, executor=executor)


def _executor(stage: Stage[Any, Any], call: Call, where: str) -> Executor:
    kind = call.kind
    if isinstance(stage.operator, StreamOperator) and stage.operator.needs_function:
        kind = read(stage.fn, where).kind
    on_loop = kind in _ON_LOOP
    if stage.executor == "auto":
        if on_loop:
            return "loop"
        return "inline" if isinstance(stage.operator, StreamOperator | ItemOperator) else "thread"
    if on_loop and stage.executor != "loop":
        raise DefinitionError(
            f'{where}: {_written(stage, call)} runs on the loop; leave executor="{stage.executor}" out'
            + (", or make it a plain function" if kind in ("coroutine", "async_generator") else "")
        )
    if not on_loop and stage.executor == "loop":
        raise DefinitionError(
            f'{where}: {_written(stage, call)} cannot wait on the loop; write executor="inline" '
            "to call it there all the same, or leave executor= out to run it in a thread"
        )
    if kind == "iterable" and stage.executor == "process":
        raise DefinitionError(
            f"{where}: an iterable cannot be read in another process; write a generator function"
        )
    return stage.executor


def _judge_stream_operator(stage: Stage[Any, Any], where: str) -> Call:
    """Its function, where it has one, is given what the operator gives it; the run's by name."""
    operator = stage.operator
    if operator is None or not operator.needs_function:
        return Call("operator")
    call = read(stage.fn, where)
    title = stage.label or stage.title
    if call.many:
        raise DefinitionError(
            f"{where}: the function given to {title} is {_WRITTEN[call.kind]}; it has to return one value"
        )
    # A fold is given the state as well.
    given = 2 if operator.one_to_one else 1
    needed = len(needs_by_place(call))
    if call.known and (needed > given or (takes_by_place(call) < given and not call.open_ended)):
        raise SignatureError(
            f"{where}: the function given to {title} is called with "
            f"{'the state and the item' if given == 2 else 'the item'}, which {callable_name(stage.fn)} "
            "cannot take"
        )
    return Call("operator", parameters=tuple(each for each in call.parameters if each.kind == "keyword_only"))


def _check_stream_operator(stage: Stage[Any, Any], where: str) -> None:
    _refuse(
        stage,
        ("concurrency", "key", "retry", "timeout", "on_error", "rate", "per_worker", "many"),
        where,
        f"{stage.label or stage.title} works on the stream as a whole, not item by item",
    )


def _check_batch_operator(stage: Stage[Any, Any], where: str, *, several: bool) -> None:
    title = stage.label or stage.title
    if several:
        raise SignatureError(
            f"{where}: the function given to {title} is called with one list of items, which "
            f"{callable_name(stage.fn)} cannot take"
        )
    why = "a list is made of items of any key; give a stage behind it the key"
    _refuse(stage, ("key",), where, why)


def _check_makers(stage: Stage[Any, Any], where: str) -> None:
    for name, make in stage.per_worker.items():
        call = read(make, where)
        needed = [each.name for each in call.parameters if each.required]
        if needed or call.kind not in ("coroutine", "function"):
            raise SignatureError(
                f"{where}: per_worker={{{name!r}: …}} is called with nothing and makes one thing, but "
                f"{callable_name(make)} "
                + (
                    f"needs {', '.join(needed)}; bind it with functools.partial"
                    if needed
                    else f"is {_WRITTEN[call.kind]}"
                )
            )


def _check_portable(stage: Stage[Any, Any], where: str) -> None:
    for called in (stage.fn, *stage.per_worker.values()):
        why = explain_unportable(called)
        if why:
            raise DefinitionError(
                f'{where}: executor="process" needs a function that another process can import, and {why}; '
                f"move it to module level"
            )


def _refuse_needs(call: Call, where: str) -> None:
    """Of a C callable as a source, which takes no run parameters."""
    needed = needs_by_place(call)
    if needed:
        raise NeedsItemsError(
            f"{where}: a builtin takes no run parameters and is called with nothing, but this one needs "
            f"{', '.join(each.name for each in needed)}; give the run items=, or wrap it in a function of "
            "your own"
        )


def _without_per_worker(stage: Stage[Any, Any], call: Call, where: str) -> tuple[Parameter, ...]:
    """The parameters, those that ``per_worker`` fills made keyword-only: no item goes there."""
    by_name = {each.name: each for each in call.parameters if each.kind != "positional_only"}
    for name in stage.per_worker:
        if name not in by_name:
            raise DefinitionError(
                f"{where}: per_worker={{{name!r}: …}} has no parameter {name!r} to go to; add it "
                f"keyword-only, as in `def {callable_name(stage.fn)}(item, *, {name})`"
            )
    made: list[Parameter] = []
    for each in call.parameters:
        filled = each.name in stage.per_worker
        if made and made[-1].name in stage.per_worker and each.kind == "positional" and not filled:
            raise DefinitionError(
                f"{where}: the parameter {made[-1].name!r}, which per_worker= fills, stands before "
                f"{each.name!r}, so that an item would go there; make it keyword-only, behind a `*`"
            )
        made.append(each._replace(kind="keyword_only") if filled else each)
    return tuple(made)


def _refuse(
    stage: Stage[Any, Any],
    options: tuple[str, ...],
    where: str,
    why: str,
    error: type[DefinitionError] = DefinitionError,
) -> None:
    for option in options:
        if getattr(stage, option) != getattr(_DEFAULT, option):
            written = "buffer" if option == "durable" else option
            raise error(f"{where}: {written}= makes no sense here: {why}")


def _written(stage: Stage[Any, Any], call: Call) -> str:
    if stage.operator is not None and call.kind == "operator":
        return f"the operator {stage.label or stage.title}"
    if call.many and call.kind in ("function", "coroutine"):
        return f"{_WRITTEN[call.kind]} with many=True"
    return _WRITTEN[call.kind]
