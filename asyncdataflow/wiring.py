"""From the tree of a definition to stages and edges."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from .built_in import Operator
from .drafts import Draft, Front, Link, Shape, flat, names_of, places
from .errors import DefinitionError
from .fan_in import check_rows, check_width, zip_by_signature
from .fitting import fit_dead_letter_sink, fit_feed, fit_source, fit_step, judge
from .graph import Edge, Graph
from .keeping import makes_only_one
from .naming import place
from .operators.combine import CombineLatest, Zip, merge
from .operators.distribute import Split
from .policy import Buffer, DeadLetterPolicy, DurableBuffer
from .stage import Call, Stage
from .tree import Group, Leaf, Node, branch_names

__all__ = ("wire",)


def wire(tree: Node, *, feed: bool = False) -> Graph:
    """The graph of a tree.

    Args:
        tree: The definition in its normal form.
        feed: Put the items of the run in front.

    Raises:
        DefinitionError: A stage cannot stand where it does.
    """
    wiring = _Wiring()
    front = wiring.build(tree, wiring.feed() if feed else None)
    wiring.add_dead_letter_sinks()
    graph = wiring.graph(front)
    if not makes_only_one(graph):
        return graph
    shape = places(front.shape, [each.name or "" for each in graph.stages])
    return dataclasses.replace(graph, each=shape) if feed else dataclasses.replace(graph, one=shape)


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class _Wiring:
    """Walks the tree once, from first step to last; stages are numbers until all are known.

    Attributes:
        drafts: The stages.
        links: The edges.
        failed: The edges to dead-letter sinks.
        branches: The names of the branches behind a stage.
        ports: The names of the branches that a stage takes apart.
        buffered: Of each durable buffer, the sink that fills it and the source that empties it.
    """

    drafts: list[Draft] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    failed: list[Link] = field(default_factory=list)
    branches: dict[int, tuple[str | None, ...]] = field(default_factory=dict)
    ports: dict[int, tuple[str | None, ...]] = field(default_factory=dict)
    buffered: dict[int, int] = field(default_factory=dict)

    def feed(self) -> Front:
        """The source that gives the items of the run."""
        return Front.of_one(self._add(Stage(None, label="items"), Call("feed", many=True), "items="))

    def build(self, node: Node, front: Front | None) -> Front:
        """Add a node behind ``front``, or as the first step."""
        if isinstance(node, Leaf):
            return self._leaf(node.stage, node.path, front)
        if isinstance(node, Group):
            return self._group(node, front)
        first, *rest = node.steps
        built = self.build(first, front)
        for step in rest:
            built = self.build(step, built)
        return built

    def _group(self, node: Group, front: Front | None) -> Front:
        names = branch_names(node)
        entries: list[Front | None] = [None] * len(names)
        if front is not None:
            if len(flat(front.tails)) > 1:
                front = self._leaf(merge(), node.path, front)
            elif front.entry is not None and self._chooses(front):
                # A branch that is chosen gets the item as a whole, so it has one head.
                front = self._leaf(merge(), node.path, front)
            if front.entry is None:
                self._name_branches(front.tails[0][0], names, node)
            # A group that heads a branch of another stands at that branch as a whole.
            entries = [
                front._replace(entry=at if front.entry is None else front.entry) for at in range(len(names))
            ]
        tails, inside, shapes = [], [], []
        for branch, entry in zip(node.branches, entries, strict=True):
            first = len(self.drafts)
            end = self.build(branch, entry)
            tails.append(tuple(flat(end.tails)))
            inside.append(range(first, len(self.drafts)))
            shapes.append(end.shape)
        shape = Shape(node.kind, names, tuple(shapes))
        return Front(tuple(tails), shape, names, node.kind, tuple(inside), front is not None)

    def _chooses(self, front: Front) -> bool:
        operator = self.drafts[front.tails[0][0]].stage.operator
        return operator is not None and operator.fans_out

    def _name_branches(self, number: int, names: tuple[str | None, ...], node: Group) -> None:
        self.branches[number] = names
        stage = self.drafts[number].stage
        if isinstance(stage.operator, Split):
            operator = Split(by_name=node.kind == "set")
            self.drafts[number].stage = dataclasses.replace(stage, operator=operator)

    def _leaf(self, stage: Stage[Any, Any], path: str, front: Front | None) -> Front:
        call = judge(stage, path)
        if front is not None and stage.durable is not None:
            front = self._through_buffer(stage.durable, stage, path, front)
            stage = dataclasses.replace(stage, durable=None)
        if front is None:
            return Front.of_one(self._add(stage, call, path))
        if stage.operator is not None and stage.operator.fans_in:
            operator = _with_branches(stage.operator, front)
            return self._take_apart(dataclasses.replace(stage, operator=operator), call, path, front)
        if len(front.tails) > 1:
            rows = zip_by_signature(stage, call, path, front.names, front.kind)
            if rows is not None:
                check_rows(place(path, stage.title), front, self.drafts, self.links)
                # The buffer that the user gives the stage is meant for the branches.
                implicit = Stage[Any, Any](None, label="zip_", operator=rows, buffer=stage.buffer)
                front = self._take_apart(implicit, Call("operator"), path, front)
                stage = dataclasses.replace(stage, buffer=Buffer(stage.buffer.items))
        number = self._add(stage, call, path)
        for tail in flat(front.tails):
            if tail in self.ports:
                check_width(stage, call, path, self.drafts[tail], len(self.ports[tail]))
            self.links.append(Link(tail, number, 0, front.entry or 0))
        return Front.of_one(number)

    def _through_buffer(
        self, durable: DurableBuffer, stage: Stage[Any, Any], path: str, front: Front
    ) -> Front:
        """What fills a stage's durable buffer, and what empties it."""
        if stage.operator is not None and stage.operator.fans_in:
            raise DefinitionError(
                f"{place(path, stage.title)}: it takes branches apart, and a durable buffer would mix them; "
                "give the buffer to the last stage of each branch, or to the stage behind"
            )
        ends = []
        for end, label in ((durable.sink(), "into"), (durable.source(), "out of")):
            made = Stage[Any, Any](end, label=f"{label} the buffer of {stage.title}")
            ends.append(self._add(made, judge(made, path), f"{path}.buffer"))
        into, out = ends
        self.links.extend(Link(tail, into, 0, front.entry or 0) for tail in flat(front.tails))
        self.drafts[into].is_buffer = True
        self.buffered[into] = out
        return Front.of_one(out)

    def _take_apart(self, stage: Stage[Any, Any], call: Call, path: str, front: Front) -> Front:
        """A stage with one port for each branch."""
        if len(front.tails) < 2:
            raise DefinitionError(
                f"{place(path, stage.title)}: it joins branches, so a group of two or more has to stand "
                "before it"
            )
        number = self._add(stage, call, path)
        self.ports[number] = front.names
        for port, tails in enumerate(front.tails):
            self.links.extend(Link(tail, number, port) for tail in tails)
        return Front.of_one(number)

    def _add(self, stage: Stage[Any, Any], call: Call, path: str) -> int:
        self.drafts.append(Draft(stage, call, path))
        return len(self.drafts) - 1

    def add_dead_letter_sinks(self) -> None:
        """One stage for each sink that takes what failed, however many send to it."""
        known: list[tuple[Any, int]] = []
        for number, draft in enumerate(tuple(self.drafts)):
            policy = draft.stage.on_error
            if not isinstance(policy, DeadLetterPolicy):
                continue
            found = next((at for sink, at in known if _is_same(sink, policy.sink)), None)
            if found is None:
                path = f"{draft.path}.on_error"
                stage = policy.sink if isinstance(policy.sink, Stage) else Stage[Any, Any](policy.sink)
                found = self._add(stage, judge(stage, path), path)
                self.drafts[found].takes_dead_letters = True
                known.append((policy.sink, found))
            self.failed.append(Link(number, found))

    def graph(self, front: Front) -> Graph:
        """Name the stages, fit each into its place, and freeze."""
        names = names_of(self.drafts)
        fed = {link.target for link in self.links}
        ends = set(flat(front.tails))
        fitted = [
            self._fitted(number, first=number not in fed, last=number in ends) for number in range(len(names))
        ]
        edges = [Edge(names[each.source], names[each.target], each.port, each.branch) for each in self.links]
        edges += [Edge(names[each.source], names[each.target], dead_letters=True) for each in self.failed]
        return Graph(
            tuple(dataclasses.replace(each, name=name) for each, name in zip(fitted, names, strict=True)),
            tuple(edges),
            tuple(names[each] for each in flat(front.tails)),
            {names[each]: ports for each, ports in self.ports.items()},
            {names[each]: branches for each, branches in self.branches.items()},
            buffered={names[into]: names[out] for into, out in self.buffered.items()},
        )

    def _fitted(self, number: int, *, first: bool, last: bool) -> Stage[Any, Any]:
        draft = self.drafts[number]
        operator = draft.stage.operator
        if operator is not None and operator.fans_out and number not in self.branches:
            raise DefinitionError(
                f"{draft.where}: it chooses among branches, so a group has to follow it: a tuple, or a dict "
                "that names them"
            )
        if draft.takes_dead_letters:
            return fit_dead_letter_sink(draft.stage, draft.call, draft.path)
        if draft.call.kind == "feed":
            return fit_feed(draft.stage, draft.call, draft.path)
        if draft.is_buffer:
            return fit_step(draft.stage, draft.call, draft.path, "sink")
        if first:
            return fit_source(draft.stage, draft.call, draft.path)
        return fit_step(draft.stage, draft.call, draft.path, "sink" if last else "transform")


def _with_branches(operator: Operator | None, front: Front) -> Operator | None:
    """The operator told of its branches; behind a set or dict it makes dicts."""
    names = None
    if front.kind != "tuple":
        names = tuple(each for each in front.names if each is not None)
    if isinstance(operator, CombineLatest):
        return CombineLatest(len(front.tails), names)
    if isinstance(operator, Zip):
        return Zip(operator.uneven, names)
    return operator


def _is_same(one: Any, other: Any) -> bool:
    """The same object; of a method, which is made anew each time it is looked up, the same owner's."""
    if one is other:
        return True
    owner = getattr(one, "__self__", None)
    return (
        owner is not None
        and owner is getattr(other, "__self__", None)
        and type(one) is type(other)
        and getattr(one, "__name__", None) == getattr(other, "__name__", None)
    )
