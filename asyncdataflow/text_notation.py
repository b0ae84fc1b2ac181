"""The text notation: ``source, target | compare | (s3_logger | archive), notify``.

``,`` joins branches and binds tighter than ``|``, which joins steps; parentheses
nest; dotted names are looked up in a mapping or a module. ``jsonl:orders.jsonl`` is a
connector: a source in a first step, a sink elsewhere; ``{"pg:": {"dsn": …}}`` among the names
has options of its scheme, ``{"./": folder}`` says where relative paths begin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final, Literal, NamedTuple

from .errors import DefinitionError
from .naming import nearest
from .schemes import CONNECTOR, make_connector, read_connector
from .stage import Stage
from .tree import Node, group, series

__all__ = ("MakeMember", "Names", "parse")

Names = Mapping[str, Any] | ModuleType

_DEEPEST: Final = 100
_MISSING: Final = object()
_TOKEN: Final = re.compile(
    rf"\s*(?:(?P<connector>{CONNECTOR})|(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)|(?P<mark>[,|()])|(?P<other>\S))"
)
_KINDS: Final[Mapping[str, Literal["name", "connector", "mark"]]] = {
    "name": "name",
    "connector": "connector",
    "mark": "mark",
}


class _Token(NamedTuple):
    kind: Literal["name", "connector", "mark", "end"]
    text: str
    character: int


MakeMember = Callable[[Any, str, bool], Node]
"""From what a name means, its place, and whether it is one of several branches, to its node."""


def parse(text: str, names: Names | None, path: str, make_member: MakeMember) -> Node:
    """The tree of a definition written as text.

    Args:
        text: The definition.
        names: Where its names are looked up.
        path: Where the text itself stands.
        make_member: Makes the node of what a name means.

    Raises:
        DefinitionError: The text cannot be read, or a name is not known; with the character.
    """
    if names is None:
        raise DefinitionError(f"{path}: text needs names= to look its names up in: a mapping or a module")
    parser = _Parser(text, names, path, make_member)
    node = parser.series(0)
    parser.expect_end()
    return node


class _Parser:
    """Recursive descent, one method for each rule of the grammar."""

    def __init__(self, text: str, names: Names, path: str, make_member: MakeMember) -> None:
        self._path = path
        self._names = names
        self._make_member = make_member
        self._tokens = list(_tokens(text, path))
        self._at = 0

    def series(self, depth: int, *, first: bool = True) -> Node:
        """Steps between ``|``; ``first``: the definition begins with them."""
        if depth > _DEEPEST:
            raise self._refusal(f"parentheses nest deeper than {_DEEPEST}")
        path = self._place()
        steps = [self._group(depth, first)]
        while self._took("|"):
            steps.append(self._group(depth, first=False))
        return series(steps, path)

    def expect_end(self) -> None:
        """Nothing may be left over."""
        token = self._tokens[self._at]
        if token.text == ")":
            raise self._refusal("this ) closes nothing; take it away or open it with ( before")
        if token.kind != "end":
            raise self._refusal(f"{token.text!r} cannot stand here; put , or | before it")

    def _group(self, depth: int, first: bool) -> Node:
        """Branches between ``,``."""
        path = self._place()
        branches = [self._branch(depth, first)]
        while self._took(","):
            branches.append(self._branch(depth, first))
        several = len(branches) > 1
        members = [make(several) for make in branches]
        return group(members, "tuple", path) if several else members[0]

    def _branch(self, depth: int, first: bool) -> Callable[[bool], Node]:
        """A name, a connector, or a definition in parentheses; made once the number of branches is known."""
        token = self._tokens[self._at]
        if self._took("("):
            node = self.series(depth + 1, first=first)
            if not self._took(")"):
                raise self._refusal(f"the ( at character {token.character} is never closed; put ) here")
            return lambda _: node
        place = f"{self._path}, character {token.character}"
        if token.kind == "connector":
            self._at += 1
            connector = _connector(token.text, self._names, place, first)
            return lambda several: self._make_member(connector, place, several)
        if token.kind != "name":
            found = "the text ends" if token.kind == "end" else f"{token.text!r} stands"
            raise self._refusal(f"{found} where a name or ( is needed")
        self._at += 1
        meant = _look_up(token.text, self._names, place)
        return lambda several: self._make_member(meant, place, several)

    def _took(self, mark: str) -> bool:
        if self._tokens[self._at].text != mark:
            return False
        self._at += 1
        return True

    def _place(self) -> str:
        return f"{self._path}, character {self._tokens[self._at].character}"

    def _refusal(self, why: str) -> DefinitionError:
        return DefinitionError(f"{self._place()}: {why}")


def _tokens(text: str, path: str) -> Iterator[_Token]:
    at = 0
    while found := _TOKEN.match(text, at):
        kind, at = found.lastgroup, found.end()
        character = found.start(kind or 0) + 1
        if kind == "other":
            raise DefinitionError(
                f"{path}, character {character}: {found['other']!r} is not of this notation, which has "
                "names, dots, connectors as scheme:target, `,`, `|` and parentheses"
            )
        yield _Token(_KINDS[kind or "mark"], found[kind or 0], character)
    yield _Token("end", "", len(text) + 1)


def _connector(text: str, names: Names, place: str, first: bool) -> Stage[Any, Any]:
    """The stage of a connector, with the options that its scheme has among the names."""
    try:
        read = read_connector(text)
    except ValueError as error:
        raise DefinitionError(f"{place}: {error}") from None
    more = names if isinstance(names, Mapping) else {}
    made = make_connector(
        read, "source" if first else "sink", more.get(f"{read.scheme}:", {}), place, more.get("./", "")
    )
    return Stage(made, label=read.scheme)


def _look_up(name: str, names: Names, place: str) -> Any:
    """What a dotted name means: a key of the mapping as it stands, else part by part."""
    if isinstance(names, Mapping) and name in names:
        return names[name]
    found: Any = names
    walked = ""
    for part in name.split("."):
        member = _member(found, part)
        if member is _MISSING:
            within = f" in {walked}" if walked else ""
            raise DefinitionError(
                f"{place}: there is no name {part!r}{within}{nearest(part, _public(found))}"
            )
        found = member
        walked = f"{walked}.{part}" if walked else part
    return found


def _member(of: Any, name: str) -> Any:
    """By key from a mapping, else by attribute; what Python keeps for itself is out of reach."""
    if isinstance(of, Mapping):
        return of.get(name, _MISSING)
    return _MISSING if name.startswith("__") else getattr(of, name, _MISSING)


def _public(of: Any) -> list[str]:
    return [each for each in (of if isinstance(of, Mapping) else dir(of)) if not str(each).startswith("_")]
