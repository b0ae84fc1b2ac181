"""What wiring works on: stages before they have names, and what the next step takes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .errors import DefinitionError
from .graph import Places
from .naming import place
from .stage import Call, Stage
from .tree import GroupKind, numbered

__all__ = ("Draft", "Front", "Link", "Shape", "flat", "names_of", "places")


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Draft:
    """A stage on its way into the graph; it is known by its number."""

    stage: Stage[Any, Any]
    call: Call
    path: str
    takes_dead_letters: bool = False
    is_buffer: bool = False

    @property
    def where(self) -> str:
        """Its place, for errors."""
        return place(self.path, self.stage.title)


class Link(NamedTuple):
    """An edge between numbers."""

    source: int
    target: int
    port: int = 0
    branch: int = 0


class Shape(NamedTuple):
    """``Places`` between numbers."""

    kind: GroupKind
    names: tuple[str | None, ...]
    members: tuple[int | Shape, ...]


class Front(NamedTuple):
    """What the next step takes from.

    Attributes:
        tails: For each branch, the stages that end it.
        shape: How the results would lie if this were the end.
        names: The branches' names.
        kind: What their group was written as.
        inside: For each branch, all its stages.
        shared: The branches take from one step.
        entry: The branch of the group that the next step is the head of.
    """

    tails: tuple[tuple[int, ...], ...]
    shape: int | Shape
    names: tuple[str | None, ...] = (None,)
    kind: GroupKind = "tuple"
    inside: tuple[range, ...] = ()
    shared: bool = False
    entry: int | None = None

    @classmethod
    def of_one(cls, number: int) -> Front:
        """Behind a single stage."""
        return cls(((number,),), number)


def flat(tails: Iterable[Sequence[int]]) -> list[int]:
    """The stages of all branches."""
    return [each for tail in tails for each in tail]


def names_of(drafts: Sequence[Draft]) -> list[str]:
    """A name for each: the user's own, else after what it runs, numbered.

    Raises:
        DefinitionError: The user gives one name twice.
    """
    taken: dict[str, Draft] = {}
    for draft in drafts:
        own = draft.stage.name
        if own is None:
            continue
        if own in taken:
            raise DefinitionError(
                f"{draft.where}: the name {own!r} is given twice, here and at {taken[own].path}; names are "
                "unique, so give one of them another or none"
            )
        taken[own] = draft
    name = numbered(set(taken))
    return [draft.stage.name or name(draft.stage.title) for draft in drafts]


def places(shape: int | Shape, names: Sequence[str]) -> str | Places:
    """The shape with the stages' names."""
    if isinstance(shape, int):
        return names[shape]
    members = tuple(places(each, names) for each in shape.members)
    return Places("tuple" if shape.kind == "tuple" else "dict", shape.names, members)
