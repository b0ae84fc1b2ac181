"""Delivery: what a definition promises of its items when something fails, and whether it can keep it.

``at_most_once``
    No item is worked on twice: a source is told that all is well before its item goes anywhere.
``at_least_once``
    No item is lost: a source is told when everything made of its item is settled. The default
    of a flow with a source that can be answered.
``exactly_once``
    Besides, what is written twice is there once: every sink is idempotent, or stores where its
    source stands in the transaction that stores the items.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Literal, get_args

from .abc import AckableSource, Sink, Source
from .graph import Graph, named
from .keeping import makes_many, why_not_ordered
from .message import Answer
from .naming import place
from .operators.accumulate import Batch, Scan
from .operators.combine import CombineLatest
from .operators.protocol import BatchOperator
from .operators.streamwise import Through, opened
from .policy import DeadLetterPolicy
from .stage import Stage

__all__ = (
    "Delivery",
    "as_delivered",
    "check_name",
    "delivery_problems",
    "downstream",
    "has_answered_source",
    "upstream",
)

Delivery = Literal["at_most_once", "at_least_once", "exactly_once"]

_NAMES: Final = get_args(Delivery)


def check_name(delivery: object) -> None:
    """Raises ``ValueError`` where that is no delivery."""
    if delivery is not None and delivery not in _NAMES:
        raise ValueError(
            f"DataFlow(delivery=): one of {', '.join(map(repr, _NAMES))} is needed, not {delivery!r}"
        )


def has_answered_source(graph: Graph) -> bool:
    """Whether a source wants to know what became of each message."""
    return any(_kind(each) == "ackable_source" for each in graph.stages)


def as_delivered(graph: Graph, delivery: Delivery | None) -> Graph:
    """The graph that runs: at most once, a source is answered where it is read."""
    if delivery != "at_most_once":
        return graph
    return dataclasses.replace(graph, stages=tuple(_answered_at_once(each) for each in graph.stages))


def delivery_problems(graph: Graph, delivery: Delivery | None) -> list[str]:
    """Why the promise cannot be kept: each with the two elements that cannot go together."""
    found: list[str] = []
    for source in graph.sources:
        below = downstream(graph, source)
        if delivery in ("at_least_once", "exactly_once"):
            found += _of_source(source, delivery)
        if _kind(source) == "ackable_source" and delivery != "at_most_once":
            found += _untracked(graph, source, below)
        if delivery == "exactly_once":
            found += _of_effects(graph, source, below)
    for sink in graph.stages:
        if _kind(sink) == "transactional_sink":
            found += _of_positions(graph, sink, delivery)
    return list(dict.fromkeys(found))


def downstream(graph: Graph, source: Stage[Any, Any]) -> list[Stage[Any, Any]]:
    """Every stage that something made of the source's items comes to, the nearest first."""
    reached = {named(source)}
    for stage in graph.stages:
        if any(edge.source in reached for edge in graph.into(named(stage))):
            reached.add(named(stage))
    return [each for each in graph.stages if named(each) in reached and each is not source]


def upstream(graph: Graph, sink: Stage[Any, Any]) -> list[Stage[Any, Any]]:
    """Every stage that something of comes to the sink, its sources first."""
    reached = {named(sink)}
    for stage in reversed(graph.stages):
        if any(edge.target in reached for edge in graph.out_of(named(stage))):
            reached.add(named(stage))
    return [each for each in graph.stages if named(each) in reached and each is not sink]


def _of_source(source: Stage[Any, Any], delivery: str) -> Iterator[str]:
    if _kind(source) != "ackable_source":
        yield (
            f'{_where(source)}: delivery="{delivery}" means to tell a source what became of its items, and '
            "this one cannot be told; give it as an AckableSource, or leave delivery= out"
        )


def _held(graph: Graph, stage: Stage[Any, Any]) -> int:
    """Messages that lie in a stage, and in the batches right before it, before anything is made of them."""
    if isinstance(stage.operator, CombineLatest):
        # The latest of a branch is kept until a newer one comes.
        return 2
    held = 1
    before = [stage]
    while len(before) == 1 and not makes_many(before[0]):
        operator = before[0].operator
        if isinstance(operator, Batch):
            if operator.seconds is not None:
                return 1
            held *= operator.size
        elif isinstance(operator, BatchOperator) and operator.within is None:
            held = operator.size * math.ceil(held / operator.size)
        before = [
            graph.by_name[each.source] for each in graph.into(named(before[0])) if not each.dead_letters
        ]
    many = len(before) == 1 and before[0].role != "source"
    return 1 if many or not isinstance(stage.operator, Batch | BatchOperator) else held


def _untracked(graph: Graph, source: Stage[Any, Any], below: list[Stage[Any, Any]]) -> Iterator[str]:
    most = source.fn.max_unacked
    for stage in below:
        if isinstance(stage.operator, Through):
            yield (
                f"{_where(stage)}: what becomes of an item inside through() cannot be followed, and "
                f"{_where(source)} wants to know; write a stage of single items, or "
                'DataFlow(…, delivery="at_most_once")'
            )
        held = _held(graph, stage)
        if held > most:
            yield (
                f"{_where(stage)}: it holds {held} messages before anything is made of them, and "
                f"{_where(source)} gives no more than max_unacked={most} before one is settled; give a batch "
                "seconds=, or map_batches within=, or the source a larger max_unacked="
            )


def _of_effects(graph: Graph, source: Stage[Any, Any], below: list[Stage[Any, Any]]) -> Iterator[str]:
    for stage in below:
        if isinstance(stage.operator, Scan):
            yield (
                f"{_where(stage)}: what it has added up is stored nowhere, and what of {_where(source)} was "
                "acked does not come again; add up where the items are stored, or promise "
                'delivery="at_least_once"'
            )
    for stage in (source, *below):
        letters = any(edge.dead_letters for edge in graph.into(named(stage)))
        ends = not any(not edge.dead_letters for edge in graph.out_of(named(stage)))
        if (ends or letters) and not _writes_once(stage):
            yield (
                f'{_where(stage)}: delivery="exactly_once" needs a sink that may be given an item of '
                f"{_where(source)} twice, and of this one nothing is known; end in a Sink whose effect is "
                '"idempotent" or in a TransactionalSink, or promise delivery="at_least_once"'
            )


def _writes_once(stage: Stage[Any, Any]) -> bool:
    if _kind(stage) == "transactional_sink":
        return True
    return isinstance(stage.fn, Sink) and stage.fn.effect == "idempotent"


def _of_positions(graph: Graph, sink: Stage[Any, Any], delivery: Delivery | None) -> Iterator[str]:
    """A position says that all before it is done: nothing may overtake, nor be stored by halves."""
    if sink.concurrency > 1:
        yield f"{_where(sink)}: it stores positions in their order, so its concurrency is 1"
    if delivery == "at_most_once":
        yield (
            f"{_where(sink)}: it stores where its source stands, which nobody asks for at most once; leave "
            'delivery= out, or write delivery="exactly_once"'
        )
    above = upstream(graph, sink)
    for source in above:
        if source.role == "source" and ("#" in named(source) or f"{named(source)}#2" in graph.by_name):
            yield (
                f"{_where(sink)}: it stores where each source stands by its name, and {_where(source)} is "
                "one of several that are numbered; write stage(…, name=…), so that no change of the "
                "definition gives one the positions of another"
            )
    for stage in above:
        why = _why_no_position(graph, stage)
        if why:
            yield (
                f"{_where(sink)}: it stores where its source stands, which means that all before that is "
                f"stored too; but {_where(stage)} {why}"
            )


def _why_no_position(graph: Graph, stage: Stage[Any, Any]) -> str:
    ways = [edge for edge in graph.out_of(named(stage)) if not edge.dead_letters]
    unordered = why_not_ordered(stage)
    if len(ways) > 1:
        return "gives items to several branches; end in an idempotent Sink"
    if isinstance(stage.on_error, DeadLetterPolicy):
        return (
            "sends dead letters elsewhere, which may get lost behind a position; "
            'write on_error="fail" or "skip"'
        )
    if unordered:
        return f"keeps no order: {unordered}; write ordered=True"
    return _why_no_position_of_source(stage) if stage.role == "source" else _why_by_halves(stage)


def _why_no_position_of_source(stage: Stage[Any, Any]) -> str:
    if _kind(stage) != "ackable_source":
        return "has no positions; give it as an AckableSource, or end in another Sink"
    return "" if stage.fn.has_positions else "has no positions; end in an idempotent Sink"


def _why_by_halves(stage: Stage[Any, Any]) -> str:
    if isinstance(stage.operator, Scan | CombineLatest):
        return "knows more than the item, which nobody stores; end in an idempotent Sink"
    if makes_many(stage):
        return (
            "makes any number of items from each, and some may be stored without the others; "
            "end in an idempotent Sink"
        )
    return ""


def _answered_at_once(stage: Stage[Any, Any]) -> Stage[Any, Any]:
    if _kind(stage) != "ackable_source" or stage.call is None:
        return stage
    return dataclasses.replace(
        stage, fn=_AtMostOnce(stage.fn), call=dataclasses.replace(stage.call, kind="source")
    )


class _AtMostOnce(Source[Any]):
    """The items of a source that is told that all is well before they go anywhere."""

    def __init__(self, source: AckableSource[Any]) -> None:
        self._source = source

    def open(self) -> AbstractAsyncContextManager[AsyncGenerator[Any, None]]:
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[AsyncGenerator[Any, None], None]:
        async with self._source.open() as subscription:

            async def items() -> AsyncGenerator[Any, None]:
                async with opened(subscription) as messages:
                    async for message in messages:
                        await subscription.answer([Answer(message)])
                        yield message.item

            yield items()


def _kind(stage: Stage[Any, Any]) -> str | None:
    return None if stage.call is None else stage.call.kind


def _where(stage: Stage[Any, Any]) -> str:
    return place(stage.path, stage.title)
