"""The normal form of a definition: leaves, series and groups, alike for every notation.

What is the same graph is the same tree here, however it was written: series in
series and tuple groups in tuple groups are joined, groups of one are gone, sets
stand in the order of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from .errors import DefinitionError
from .stage import Stage

__all__ = (
    "Group",
    "GroupKind",
    "Leaf",
    "Node",
    "Series",
    "branch_names",
    "group",
    "numbered",
    "series",
    "title_of",
    "whole",
)

GroupKind = Literal["tuple", "set", "dict"]


class Leaf(NamedTuple):
    """One stage, and where it was written."""

    stage: Stage[Any, Any]
    path: str


class Series(NamedTuple):
    """Steps, one behind another; never in another series, never of one step."""

    steps: tuple[Node, ...]
    path: str


class Group(NamedTuple):
    """Branches side by side.

    Attributes:
        branches: The branches, each a leaf, a series or a group.
        kind: What it was written as.
        path: Where.
        keys: The branches' names where it is a dict.
        whole: It stays one branch inside another group, as an embedded dataflow does.
    """

    branches: tuple[Node, ...]
    kind: GroupKind
    path: str
    keys: tuple[str, ...] = ()
    whole: bool = False


Node = Leaf | Series | Group


def series(steps: Iterable[Node], path: str) -> Node:
    """The steps as one node; a single step is that step itself."""
    flat: list[Node] = []
    for step in steps:
        chooses = bool(flat) and _chooses(flat[-1])
        kept = step if chooses and isinstance(step, Group) and step.kind != "tuple" else _unpacked(step)
        flat.extend(kept.steps if isinstance(kept, Series) else (kept,))
    return flat[0] if len(flat) == 1 else Series(tuple(flat), path)


def group(branches: Sequence[Node], kind: GroupKind, path: str, keys: Sequence[str] = ()) -> Group:
    """The branches as a group, which may have one branch until a series takes it up.

    Raises:
        DefinitionError: A set whose branches have not each a name of their own.
    """
    members = [_unpacked(each) for each in branches]
    if kind == "tuple":
        members = [each for member in members for each in _alike(member)]
    if kind == "set" and len(members) > 1:
        members = _by_name(members, path)
    return Group(tuple(members), kind, path, tuple(keys))


def title_of(node: Node) -> str | None:
    """What a branch is named after: its last stage; ``None`` where it ends in a group."""
    if isinstance(node, Leaf):
        return node.stage.title
    return title_of(node.steps[-1]) if isinstance(node, Series) else None


def branch_names(of: Group) -> tuple[str | None, ...]:
    """The names of a group's branches, each at most once: its keys, or its titles, numbered."""
    if of.keys:
        return of.keys
    name = numbered(set())
    return tuple(title if title is None else name(title) for title in map(title_of, of.branches))


def numbered(taken: set[str]) -> Callable[[str], str]:
    """A function that makes names unique: ``foo``, ``foo#2`` and so on."""
    counts: dict[str, int] = {}

    def name(title: str) -> str:
        while True:
            counts[title] = count = counts.get(title, 0) + 1
            made = title if count == 1 else f"{title}#{count}"
            if made not in taken:
                taken.add(made)
                return made

    return name


def whole(node: Node) -> Node:
    """The node as a branch that no group around it takes apart."""
    return node._replace(whole=True) if isinstance(node, Group) else node


def _chooses(node: Node) -> bool:
    return isinstance(node, Leaf) and node.stage.operator is not None and node.stage.operator.fans_out


def _unpacked(node: Node) -> Node:
    while isinstance(node, Group) and len(node.branches) == 1:
        node = node.branches[0]
    return node


def _alike(member: Node) -> Sequence[Node]:
    """The branches of a tuple in a tuple."""
    if isinstance(member, Group) and member.kind == "tuple" and not member.whole:
        return member.branches
    return (member,)


def _by_name(members: list[Node], path: str) -> list[Node]:
    named: dict[str, Node] = {}
    for member in members:
        title = title_of(member)
        if title is None:
            raise DefinitionError(
                f"{path}: a branch of a set has to end in one stage to have a name, and {member.path} ends "
                "in a "
                f'group; write a dict, {{"name": …}}'
            )
        if title in named:
            raise DefinitionError(
                f"{path}: two branches of this set are called {title!r}; name one, stage(…, name=…), "
                f'or write a dict, {{"name": …}}'
            )
        named[title] = member
    return [named[title] for title in sorted(named)]
