"""Types across edges: what cannot fit is found, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, NewType, Protocol, TypedDict, TypeVar

import pytest

from asyncdataflow import DataFlow, Sink, Source, batch, filter_, merge, stage, take
from asyncdataflow.typed import misfits

T = TypeVar("T")
Key = NewType("Key", int)


class Row(TypedDict):
    n: int


class Named(Protocol):
    name: str


def ints() -> Iterator[int]:
    yield 1


async def texts() -> AsyncIterator[str]:
    yield ""


def int_to_text(n: int) -> str: ...
async def int_to_int(n: int) -> int: ...
def int_or_none(n: int) -> int | None: ...
def text(s: str) -> str: ...
def number(n: float) -> float: ...
def anything(x): ...
def generic(x: T) -> T: ...
def key(k: Key) -> Key: ...
def a_or_b(x: Literal["a", "b"]) -> None: ...
def listed(x: list[int]) -> list[str]: ...
def many(x: Sequence[int]) -> Mapping[str, int]: ...
def row(x: Row) -> Row: ...
def mapping(x: dict[str, Any]) -> None: ...
def named(x: Named) -> None: ...
def pair(int_to_text: str, int_to_int: int) -> None: ...
def wrong_pair(int_to_text: bytes, int_to_int: int) -> None: ...
def by_place(x: int, y: int) -> None: ...


class Numbers(Source[int]):
    @asynccontextmanager
    async def open(self):
        yield ints()


class Texts(Sink[str]):
    @asynccontextmanager
    async def open(self):
        yield text


def found(*definition):
    return misfits(DataFlow(definition).graph)


@pytest.mark.parametrize(
    "definition",
    [
        (ints, int_to_int, int_to_text, text),
        (texts, text),
        (ints, int_or_none, int_to_int),
        (ints, number, int_to_int),
        (ints, int_to_int, number),
        (ints, anything, text),
        (ints, generic, text),
        (ints, key, int_to_int),
        (texts, a_or_b),
        (ints, batch(2), listed),
        (ints, batch(2), many),
        (ints, batch(2), many, mapping),
        (ints, named),
        (ints, filter_(bool), int_to_text),
        (ints, (int_to_text, int_to_int), pair),
        (ints, (int_to_text, int_to_text), merge, text),
        (Numbers(), int_to_text, Texts()),
        (range(2), text),
        (ints, anything, row, mapping),
    ],
)
def test_what_may_fit_is_let_be(definition):
    assert found(*definition) == []


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ((ints, text), "definition[0] (ints) at {file}:31 makes int, and definition[1] (text)"),
        ((texts, int_to_int), "makes str, and"),
        ((ints, int_to_text, number), "takes float"),
        ((ints, key, text), "takes str"),
        ((ints, a_or_b), "takes typing.Literal['a', 'b']"),
        ((ints, batch(2), int_to_int), "(batch) makes list, and"),
        ((ints, batch(2), listed, listed), "makes list[str], and"),
        ((ints, filter_(bool), take(3), text), "(take) makes int, and"),
        ((ints, (int_to_text, int_to_int), wrong_pair), "definition[1][0] (int_to_text)"),
        ((ints, (int_to_text, int_to_int), by_place), "takes int"),
        ((Numbers(), text), "(Numbers) makes int, and"),
        ((ints, Texts()), "(Texts) takes str"),
        ((ints, stage(int_to_text, concurrency=2), int_to_int), "makes str, and"),
        ((ints, row), "takes "),
    ],
)
def test_what_cannot_fit_is_told(definition, says):
    (told,) = found(*definition)
    assert says.replace("{file}:31", f"{__file__}:{ints.__code__.co_firstlineno}") in told
