"""A definition, in any of its notations, becomes a graph.

``compile_definition`` is the way in. This file turns containers, ``|`` expressions
and embedded dataflows into the normal form of ``tree.py``; ``text_notation.py``
does the same for text, and ``wiring.py`` makes stages and edges of it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import operators
from .abc import AckableSource, Sink, Source, TransactionalSink
from .delivery import Delivery, as_delivered, delivery_problems
from .errors import DefinitionError, DeliveryError
from .graph import Graph
from .naming import callable_name, place
from .stage import Composable, Embedded, Stage, Steps, stage
from .tree import Leaf, Node, group, series, whole
from .validate import problems
from .when_called import when_called
from .wiring import wire

if TYPE_CHECKING:
    from .text_notation import Names, parse
else:
    parse = when_called("asyncdataflow.text_notation", "parse")

__all__ = ("Compiled", "Tuned", "compile_definition")

_DEEPEST: Final = 100
_CALLED: Final = tuple(
    getattr(operators, name) for name in operators.__all__ if callable(getattr(operators, name))
)


class Compiled(NamedTuple):
    """What a definition comes to.

    Attributes:
        graph: The graph.
        resources: Those of the dataflows that were spliced in, by name.
    """

    graph: Graph
    resources: Mapping[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Tuned:
    """A definition some of whose stages have other options than are written there; see ``overrides``.

    Attributes:
        definition: The definition.
        names: Where the names of a text are looked up.
        options: Options of ``stage(…)``, by the place of the stage.
    """

    definition: Any
    names: Names | None
    options: Mapping[str, Mapping[str, Any]]


def compile_definition(
    definition: Any, names: Names | None = None, *, feed: bool = False, delivery: Delivery | None = None
) -> Compiled:
    """Make the graph of a definition.

    Args:
        definition: Nested tuples, lists, sets and dicts, a ``|`` expression, text, or one stage.
        names: Where the names of a text are looked up.
        feed: For a run that is given ``items=``: they are the source, and the first step takes them.
        delivery: What is promised of its items when something fails.

    Raises:
        DefinitionError: The definition can be known to be wrong; says where, and what to write.
    """
    reader = _Reader()
    tree = reader.definition(definition, names, "definition")
    graph = wire(tree, feed=feed)
    found = problems(graph)
    if found:
        raise DefinitionError("\n".join(found))
    unkept = delivery_problems(graph, delivery)
    if unkept:
        raise DeliveryError("\n".join(unkept))
    return Compiled(as_delivered(graph, delivery), reader.resources)


class _Reader:
    """From Python objects to the tree; collects the resources of what is spliced in."""

    def __init__(self) -> None:
        self.resources: dict[str, Any] = {}
        self._options: dict[str, Mapping[str, Any]] = {}
        self._open: list[Any] = []

    def definition(self, definition: Any, names: Names | None, path: str) -> Node:
        """A whole definition: text, or a step; a tuple is a sequence here."""
        while isinstance(definition, Tuned):
            for written, options in definition.options.items():
                # What is told from further outside wins.
                here = f"{path}{written.removeprefix('definition')}"
                self._options[here] = {**options, **self._options.get(here, {})}
            definition, names = definition.definition, definition.names
        if isinstance(definition, str):
            return parse(definition, names, path, self._member)
        return series([self._member(definition, path, within_group=True)], path)

    def _member(self, thing: Any, path: str, within_group: bool) -> Node:
        """One member of a sequence or, ``within_group``, of a group: there a tuple is a sequence."""
        if isinstance(thing, Embedded):
            with self._inside(thing, path):
                return self._embedded(thing, path)
        if isinstance(thing, Stage | Source | AckableSource | Sink | TransactionalSink):
            return self._tuned(_leaf(thing, path))
        if isinstance(thing, Steps | tuple | list | set | frozenset | dict):
            with self._inside(thing, path):
                return self._container(thing, path, within_group)
        return self._tuned(_leaf(thing, path))

    def _tuned(self, leaf: Leaf) -> Leaf:
        options = self._options.get(leaf.path)
        return leaf if options is None else Leaf(stage(leaf.stage, **options), leaf.path)

    def _container(self, thing: Any, path: str, within_group: bool) -> Node:
        if isinstance(thing, Steps):
            return self._sequence(thing.steps, path)
        if not thing:
            raise DefinitionError(
                f"{path}: an empty {type(thing).__name__} is no definition; leave it out, or give data to "
                "the run: items=[…]"
            )
        if isinstance(thing, dict):
            return self._named_group(thing, path)
        if isinstance(thing, set | frozenset):
            # In an order of their own, so that of two errors the same one is always found.
            members = sorted(thing, key=callable_name)
            places = [f"{path}{{{callable_name(each)}}}" for each in members]
            return group(list(map(self._branch, members, places)), "set", path)
        if isinstance(thing, list) or within_group:
            _refuse_bare_pipes(thing, path)
            return self._sequence(thing, path)
        return group([self._branch(each, f"{path}[{at}]") for at, each in enumerate(thing)], "tuple", path)

    def _sequence(self, members: Collection[Any], path: str) -> Node:
        steps = [self._member(each, f"{path}[{at}]", within_group=False) for at, each in enumerate(members)]
        return series(steps, path)

    def _named_group(self, thing: dict[Any, Any], path: str) -> Node:
        for key in thing:
            if not isinstance(key, str) or not key:
                raise DefinitionError(f"{path}: a branch is named by a word, and this key is {key!r}")
        return group(
            [self._branch(each, f"{path}[{key!r}]") for key, each in thing.items()], "dict", path, list(thing)
        )

    def _branch(self, thing: Any, path: str) -> Node:
        return self._member(thing, path, within_group=True)

    def _embedded(self, flow: Embedded[Any, Any], path: str) -> Node:
        for name, resource in flow.resources.items():
            if self.resources.setdefault(name, resource) is not resource:
                raise DefinitionError(
                    f"{path}: the resource {name!r} of this dataflow is another object than the {name!r} of "
                    "one beside it; give them the same object, or rename one"
                )
        return whole(self.definition(flow.definition, flow.names, f"{path}.definition"))

    @contextmanager
    def _inside(self, thing: Any, path: str) -> Iterator[None]:
        if any(each is thing for each in self._open):
            raise DefinitionError(
                f"{path}: this {type(thing).__name__} contains itself; graphs have no cycles"
            )
        if len(self._open) >= _DEEPEST:
            raise DefinitionError(f"{path}: nested deeper than {_DEEPEST}")
        self._open.append(thing)
        yield
        self._open.pop()


def _leaf(thing: Any, path: str) -> Leaf:
    """What is no container, as a stage with every option at its default."""
    made = thing if isinstance(thing, Stage) else _made_stage(thing)
    for operator in _CALLED:
        if made.fn is operator:
            if isinstance(thing, Stage) or operator not in operators.BARE:
                raise DefinitionError(
                    f"{place(path, callable_name(operator))}: this operator is written as a call, "
                    f"{callable_name(operator)}(…), with its options in the call"
                )
            made = operators.BARE[operator]()
    return Leaf(made, path)


def _made_stage(thing: Any) -> Stage[Any, Any]:
    if isinstance(thing, functools.partial) and isinstance(thing.func, Stage):
        # Of a decorated function: the stage's options, and a function with less to be given.
        bound = functools.partial(thing.func.fn, *thing.args, **thing.keywords)
        return dataclasses.replace(thing.func, fn=bound)
    return Stage(thing)


def _refuse_bare_pipes(members: Collection[Any], path: str) -> None:
    """Python's ``|`` binds tighter than ``,``: what looks like the text notation is something else."""
    if len(members) < 2:
        return
    for at, member in enumerate(members):
        if isinstance(member, Steps):
            raise DefinitionError(
                f"{path}[{at}]: in Python `|` binds tighter than `,`, so that `{_written(member)}` is one "
                f"member here; write {_as_meant(members)}"
            )


def _as_meant(members: Collection[Any]) -> str:
    """The members as the text notation reads them, with the parentheses that Python needs."""
    steps: list[list[Any]] = [[]]
    for member in members:
        first, *rest = member.steps if isinstance(member, Steps) else (member,)
        steps[-1].append(first)
        steps.extend([each] for each in rest)
    written = [
        _written(step[0]) if len(step) == 1 else f"({', '.join(map(_written, step))})" for step in steps
    ]
    joinable = any(len(step) == 1 and isinstance(step[0], Composable) for step in steps[:2])
    return f"`{' | '.join(written)}`" if joinable else f"`({', '.join(written)})`"


def _written(thing: Any) -> str:
    if isinstance(thing, Steps):
        return " | ".join(map(_written, thing.steps))
    if isinstance(thing, tuple):
        return f"({', '.join(map(_written, thing))}{',' if len(thing) == 1 else ''})"
    return thing.title if isinstance(thing, Stage) else callable_name(thing)
