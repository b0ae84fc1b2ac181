"""Replaying: what of a graph dead letters go through once more, each from the stage where it failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .errors import DefinitionError, ItemError
from .fitting import fit_feed, fit_source, fit_step, judge
from .graph import Edge, Graph, named
from .message import DeadLetter
from .naming import describe_item, nearest, place
from .operators.protocol import Delivery, ItemOperator
from .stage import Call, Stage

__all__ = ("replayed",)

_LETTERS: Final = "letters"
_SORTED: Final = "to where each failed"


def replayed(graph: Graph, letters: Any) -> Graph:
    """The graph of a run that takes dead letters in place of what the flow's sources make.

    Args:
        graph: The flow's graph.
        letters: A source of letters, or an iterable of them, which is the run's ``items=``.

    Raises:
        DefinitionError: No stage of it has a dead-letter sink, or branches meet behind one.
    """
    heads = [stage for stage in graph.stages if any(edge.dead_letters for edge in graph.out_of(named(stage)))]
    if not heads:
        raise DefinitionError(
            "replay(): no stage of this flow sends dead letters; give one on_error=dead_letter(sink)"
        )
    names = [named(each) for each in heads]
    kept = _behind(graph, names)
    _refuse_meetings(graph, kept)
    first, second = _front(letters)
    edges = [each for each in graph.edges if each.source in kept and each.target in kept]
    return Graph(
        (first, second, *(each for each in graph.stages if named(each) in kept)),
        (
            Edge(_LETTERS, _SORTED),
            *(Edge(_SORTED, name, branch=branch) for branch, name in enumerate(names)),
            *edges,
        ),
        tuple(each for each in graph.outputs if each in kept),
        {name: ports for name, ports in graph.ports.items() if name in kept},
        {_SORTED: tuple(names), **{name: of for name, of in graph.branches.items() if name in kept}},
        buffered={into: out for into, out in graph.buffered.items() if into in kept},
    )


def _behind(graph: Graph, heads: Iterable[str]) -> set[str]:
    """These stages, and all that something they make comes to."""
    kept = set(heads)
    for stage in graph.stages:
        if any(edge.source in kept for edge in graph.into(named(stage))) or any(
            out == named(stage) and into in kept for into, out in graph.buffered.items()
        ):
            kept.add(named(stage))
    return kept


def _refuse_meetings(graph: Graph, kept: set[str]) -> None:
    """A letter goes through one branch: nothing would ever come out of the others."""
    for stage in graph.stages:
        if named(stage) in kept and named(stage) in graph.ports:
            raise DefinitionError(
                f"{place(stage.path, stage.title)}: branches meet here, and a dead letter is replayed "
                "through the one in which it failed only; replay() cannot be used with this flow"
            )


def _front(letters: Any) -> tuple[Stage[Any, Any], Stage[Any, Any]]:
    source = letters if isinstance(letters, Stage) else Stage[Any, Any](letters, label=_LETTERS)
    if isinstance(letters, Iterable) or hasattr(letters, "__aiter__"):
        call = Call("feed", many=True)
        first = fit_feed(Stage(None, label=_LETTERS), call, "replay(letters)")
    else:
        first = fit_source(source, judge(source, "replay(letters)"), "replay(letters)")
    sort = Stage[Any, Any](None, label=_SORTED, operator=_ToItsStage())
    second = fit_step(sort, judge(sort, "replay()"), "replay()", "transform")
    return dataclasses.replace(first, name=_LETTERS), dataclasses.replace(second, name=_SORTED)


class _ToItsStage(ItemOperator):
    """What failed, to the stage that its letter names."""

    fans_out = True

    def decide(self, item: Any, result: Any, branches: Sequence[str | None]) -> Iterable[Delivery]:
        """The item itself; the letter may be what a sink has written of it."""
        if isinstance(item, DeadLetter):
            stage, failed = item.stage, item.item
        elif isinstance(item, Mapping) and {"stage", "item"} <= item.keys():
            stage, failed = item["stage"], item["item"]
        else:
            raise ItemError(
                "replay() takes DeadLetters, or mappings with their 'stage' and 'item', not "
                f"{describe_item(item)}"
            )
        if stage not in branches:
            known = [each for each in branches if each is not None]
            raise ItemError(
                f"a dead letter names the stage {stage!r}; those that send dead letters are "
                f"{', '.join(known)}{nearest(str(stage), known)}"
            )
        return ((branches.index(stage), failed),)
