"""Graph: the frozen, validated description that a definition compiles to.

Running, drawing and checking are separate readers of it (``_runtime/build.py``,
``draw.py``, ``validate.py``). Nothing in it runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

from .stage import Stage

__all__ = ("Edge", "Graph", "Places", "named")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Edge:
    """A bounded connection from one stage into one port of another.

    Edges into the same port of the same stage share one channel: that is a merge.

    Attributes:
        source: Name of the stage that sends.
        target: Name of the stage that receives.
        port: Which input of the target; above 0 only where the target takes branches apart.
        branch: Which branch of the group behind ``source`` this edge leads into.
        dead_letters: It carries what failed in ``source``, not what it made.
    """

    source: str
    target: str
    port: int = 0
    branch: int = 0
    dead_letters: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """The shape of what a call returns where a last group gives one value per branch.

    Attributes:
        kind: ``"tuple"``, or ``"dict"`` where the group was a set or dict.
        names: Names of the branches (``None`` for a branch without one).
        members: A stage's name for each branch, or further places for a group in it.
    """

    kind: Literal["tuple", "dict"]
    names: tuple[str | None, ...]
    members: tuple[str | Places, ...]


@dataclass(frozen=True)
class Graph:
    """Stages and edges, in an order in which every stage comes after those it takes from.

    Attributes:
        stages: The nodes, each with its name, role, path and call filled in.
        edges: The edges, dead-letter edges included.
        outputs: Names of the stages whose items are the results.
        ports: For stages that take branches apart, the branches' names (``None`` where one
            has none), by stage name.
        branches: For stages before a group, its branches' names, by stage name.
        one: Where a call can make only one value, its shape; else ``None``.
        each: Where exactly one value comes of each item that the run is given, its shape.
        buffered: By name of a sink that puts items into a durable buffer, the source at which
            they come out.
    """

    stages: tuple[Stage[Any, Any], ...]
    edges: tuple[Edge, ...] = ()
    outputs: tuple[str, ...] = ()
    ports: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    branches: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    one: str | Places | None = None
    each: str | Places | None = None
    buffered: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[str, Stage[Any, Any]]:
        """The stages by name."""
        return {named(each): each for each in self.stages}

    def into(self, name: str) -> Sequence[Edge]:
        """The edges into a stage."""
        return self._by_target.get(name, ())

    def out_of(self, name: str) -> Sequence[Edge]:
        """The edges out of a stage, dead-letter edges included."""
        return self._by_source.get(name, ())

    def kept(self, work_out: Callable[[Graph], T]) -> T:
        """What a reader works out from the graph: done once, and kept as long as the graph.

        Args:
            work_out: A function of a module, which stands for what it makes.
        """
        if work_out not in self._kept:
            self._kept[work_out] = work_out(self)
        made: T = self._kept[work_out]
        return made

    @cached_property
    def _kept(self) -> dict[Callable[[Graph], Any], Any]:
        return {}

    @cached_property
    def _by_target(self) -> Mapping[str, Sequence[Edge]]:
        return _grouped(self.edges, lambda each: each.target)

    @cached_property
    def _by_source(self) -> Mapping[str, Sequence[Edge]]:
        return _grouped(self.edges, lambda each: each.source)

    @property
    def sources(self) -> tuple[Stage[Any, Any], ...]:
        """The stages of the first step."""
        return tuple(each for each in self.stages if each.role == "source")


def _grouped(edges: Iterable[Edge], key: Callable[[Edge], str]) -> dict[str, list[Edge]]:
    groups: defaultdict[str, list[Edge]] = defaultdict(list)
    for each in edges:
        groups[key(each)].append(each)
    return dict(groups)


def named(stage: Stage[Any, Any]) -> str:
    """The name of a stage of a graph, which always has one."""
    if stage.name is None:
        raise ValueError(f"{stage!r} is of no graph: it has no name yet")
    return stage.name
