"""Fan-out: which branch of the next group gets what. ``split route balance partition``.

Without one of these, every branch gets every item (broadcast).
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Unpack

from ..errors import ResultError, UnknownBranchError
from ..naming import describe_item, nearest
from ..options import StageOptions
from ..stage import Stage, stage
from .protocol import ANY, Delivery, ItemOperator

__all__ = ("Balance", "Partition", "Route", "Split", "balance", "partition", "route", "split", "stable_hash")


class Split(ItemOperator):
    """One value for each branch; ``by_name`` where they have no order, as in a set."""

    fans_out = True

    def __init__(self, by_name: bool = False) -> None:
        self.by_name: Final = by_name

    def decide(self, item: Any, result: Any, branches: Sequence[str | None]) -> Iterable[Delivery]:
        """By name from a mapping, by place from a tuple or list."""
        if isinstance(result, Mapping):
            return self._by_name(result, branches)
        if self.by_name:
            raise ResultError(
                f"the branches of a set have no order: split needs a dict with {_listed(branches)}, "
                f"not {describe_item(result)}"
            )
        if not isinstance(result, tuple | list):
            raise ResultError(
                f"split needs a tuple of {len(branches)} values, one for each branch, "
                f"or a dict of them, not {describe_item(result)}"
            )
        if len(result) != len(branches):
            raise ResultError(f"split needs {len(branches)} values, one for each branch, not {len(result)}")
        return list(enumerate(result))

    def _by_name(self, values: Mapping[Any, Any], branches: Sequence[str | None]) -> Iterable[Delivery]:
        for name in values:
            if name not in branches:
                raise UnknownBranchError(_no_branch("split", name, branches))
        missing = [str(name) for name in branches if name not in values]
        if missing:
            raise ResultError(f"split needs a value for each branch; there is none for {', '.join(missing)}")
        return [(place, values[name]) for place, name in enumerate(branches)]


class Route(ItemOperator):
    """The item, to the branches that the function names."""

    fans_out = True
    needs_function = True

    def decide(self, item: Any, result: Any, branches: Sequence[str | None]) -> Iterable[Delivery]:
        """One name, several, or ``None`` for nobody."""
        if result is None:
            return ()
        names = [result] if isinstance(result, str) or not isinstance(result, Iterable) else list(result)
        places: list[int] = []
        for name in names:
            if name is None or name not in branches:
                raise UnknownBranchError(_no_branch("route", name, branches))
            places.append(branches.index(name))
        return [(place, item) for place in dict.fromkeys(places)]

    def places(self, branches: Sequence[str | None]) -> Mapping[str, int]:
        """The names."""
        return {name: branches.index(name) for name in branches if name is not None}


class Partition(ItemOperator):
    """The item, to the branch that its key belongs to."""

    fans_out = True
    needs_function = True

    def decide(self, item: Any, result: Any, branches: Sequence[str | None]) -> Iterable[Delivery]:
        """Same key, same branch, in every run."""
        return ((stable_hash(result) % len(branches), item),)


class Balance(ItemOperator):
    """The item, to a branch that is free."""

    fans_out = True

    def decide(self, item: Any, result: Any, branches: Sequence[str | None]) -> Iterable[Delivery]:
        """The edges know who is free."""
        return ((ANY, item),)


def stable_hash(key: Any) -> int:
    """A hash that is the same in every process, unlike ``hash`` of text; equal keys agree.

    Text and bytes by CRC-32, tuples by their members, anything else by its own ``hash``.
    """
    if isinstance(key, str):
        return binascii.crc32(key.encode("utf-8", "surrogatepass"))
    if isinstance(key, bytes):
        return binascii.crc32(key)
    if isinstance(key, tuple):
        folded = 0x345678
        for member in key:
            folded = (folded * 1000003 ^ stable_hash(member)) & 0xFFFFFFFF
        return folded
    return 0 if key is None else hash(key)


def _no_branch(operator: str, name: Any, branches: Sequence[str | None]) -> str:
    hint = nearest(name, [each for each in branches if each]) if isinstance(name, str) else ""
    return f"{operator}: there is no branch {name!r}, only {_listed(branches)}{hint}"


def _listed(branches: Sequence[str | None]) -> str:
    return ", ".join(each for each in branches if each is not None) or "branches without names"


def split(f: Callable[[Any], Any] | None = None, **options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """One value for each branch of the next group.

    Order: kept in each branch. Backpressure: waits for the fullest branch. Completes
    with its input. May stand bare: then the item itself is taken apart.

    Args:
        f: From an item to a tuple with one value per branch, for a set a dict, for a dict
            either. Runs on the loop unless ``executor=`` says otherwise. Without it, the item is that value.
        **options: As in ``stage``. A wrong number of values is that item's error.

    Example:
        >>> from asyncdataflow import DataFlow, split
        >>> flow = DataFlow((range(2), split(lambda n: (n, -n)), (lambda a: ("a", a), lambda b: ("b", b))))
        >>> sorted(flow())
        [('a', 0), ('a', 1), ('b', -1), ('b', 0)]
    """
    return _distribute("split", f, Split(), options)


def route(f: Callable[[Any], Any], **options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """Each item to the branches of the next group that ``f`` names.

    Order: kept in each branch. Backpressure: waits for the branches that were named.
    Completes with its input.

    Args:
        f: From an item to the name of a branch (its dict key, else its last stage's name),
            to several names, or to ``None``: nobody gets it.
        **options: As in ``stage``. An unknown name is that item's error.

    Raises:
        ValueError: ``f`` is no callable.

    Example:
        >>> from asyncdataflow import DataFlow, route
        >>> parity = route(lambda n: "odd" if n % 2 else "even")
        >>> sorted(DataFlow((range(4), parity, {"odd": str, "even": float}))(), key=float)
        [0.0, '1', 2.0, '3']
    """
    return _distribute("route", f, Route(), options)


def partition(key: Callable[[Any], Any], /, **options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """Each item to one branch of the next group: items of the same key to the same.

    Order: kept per key. Backpressure: waits for that branch. Completes with its input.
    The choice is the same in every run and process for keys of text, bytes, numbers and
    tuples of these.

    Args:
        key: From an item to its key, which has to be hashable.
        **options: As in ``stage``.

    Raises:
        ValueError: ``key`` is no callable.
    """
    return _distribute("partition", key, Partition(), options)


def balance(**options: Unpack[StageOptions]) -> Stage[Any, Any]:
    """Each item to one branch of the next group: the one with the least waiting in its edge.

    Order: kept in each branch. Backpressure: waits only while every branch is full.
    Completes with its input. May stand bare.

    Args:
        **options: ``name``, ``buffer``, ``overflow`` and ``rate``, as in ``stage``.
    """
    return _distribute("balance", None, Balance(), options)


def _distribute(name: str, f: Any, operator: ItemOperator, options: StageOptions) -> Stage[Any, Any]:
    if operator.needs_function and not callable(f):
        raise ValueError(f"{name}(…): a function of the item is needed, not {f!r}")
    return stage(Stage(f, label=name, operator=operator), **options)
