"""What a type checker knows of ``stage(…)`` and of ``|``; checked by ``tests/test_typing.py``, never run.

``assert_type`` is the positive test. The negative one is ``# type: ignore[…]``: where the
line below it stops being an error, the unused ignore is one.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TextIO, assert_type

from asyncdataflow.abc import Source
from asyncdataflow.policy import Retry, dead_letter
from asyncdataflow.stage import Stage, Steps, stage


class User: ...


class Row: ...


async def fetch(number: int) -> User: ...  # type: ignore[empty-body]


def render(user: User) -> str: ...  # type: ignore[empty-body]


def encode(text: str) -> bytes: ...  # type: ignore[empty-body]


async def pages(number: int) -> AsyncIterator[str]:
    yield ""


def lines(text: str) -> Iterator[bytes]:
    yield b""


def chunks(text: str) -> Generator[bytes, None, None]:
    yield b""


async def save(user: User, *, db: str, table: str = "users") -> Row: ...  # type: ignore[empty-body]


def source(start: int, stop: int) -> str: ...  # type: ignore[empty-body]


def optional(number: int, base: int = 10) -> str: ...  # type: ignore[empty-body]


def opened(path: str) -> TextIO: ...  # type: ignore[empty-body]


class Numbers(Source[int]):
    def open(self) -> AbstractAsyncContextManager[AsyncIterator[int]]: ...  # type: ignore[empty-body]


class Model:
    def __call__(self, user: User) -> float: ...  # type: ignore[empty-body]

    def predict(self, user: User) -> float: ...  # type: ignore[empty-body]


# --- what stage() makes of a callable: from what it takes to the item that it sends on
assert_type(stage(fetch), Stage[int, User])
assert_type(stage(render), Stage[User, str])
assert_type(stage(pages), Stage[int, str])
assert_type(stage(lines), Stage[str, bytes])
assert_type(stage(chunks), Stage[str, bytes])
assert_type(stage(opened), Stage[str, TextIO])
assert_type(stage(optional), Stage[int, str])
assert_type(stage(Model()), Stage[User, float])
assert_type(stage(Model().predict), Stage[User, float])
assert_type(stage(functools.partial(optional, base=2)), Stage[Any, str])
assert_type(stage(len, name="length").name, str | None)

# --- with run parameters the item cannot be told from the rest by the signature's type alone
assert_type(stage(save), Stage[Any, Row])
assert_type(stage(source), Stage[Any, str])

# --- a lambda's parameter has no type, and may be a source's or an item
assert_type(stage(lambda number: 1), Stage[Any, Any])

# --- an iterable, a Source or a Sink has no signature
assert_type(stage([1, 2, 3]), Stage[Any, Any])


# --- as a decorator
@stage
async def decorated(number: int) -> User: ...  # type: ignore[empty-body]


@stage(concurrency=4, retry=3)
async def with_options(number: int) -> User: ...  # type: ignore[empty-body]


assert_type(decorated, Stage[int, User])
assert_type(with_options, Stage[int, User])

# --- a stage's options may be changed, its types stay
assert_type(stage(stage(fetch), concurrency=2), Stage[int, User])

# --- joins
assert_type(stage(fetch) | stage(render), Steps[int, str])
assert_type(stage(fetch) | render | encode, Steps[int, bytes])
assert_type(stage(fetch) | render | lines, Steps[int, bytes])
assert_type(stage(fetch) | (render, save), Steps[int, Any])
assert_type(stage(fetch) | {"one": render, "two": save}, Steps[int, Any])
assert_type(stage(pages) | stage(encode) | (encode, encode), Steps[int, Any])

# --- what has no | of its own may stand first
assert_type((fetch, fetch) | stage(render), Steps[Any, str])
assert_type([1, 2] | stage(fetch), Steps[Any, User])
assert_type({"one": fetch} | stage(render), Steps[Any, str])
assert_type({fetch} | stage(render), Steps[Any, str])
assert_type(range(3) | stage(fetch), Steps[Any, User])
assert_type(fetch | stage(render), Steps[Any, str])
assert_type(Numbers() | stage(fetch), Steps[Any, User])

joined: Callable[..., Any] = stage(fetch)

# --- what does not fit is refused
encoder = stage(encode)
stage(fetch) | encoder  # type: ignore[operator]
stage(fetch) | encode  # type: ignore[operator]
stage(fetch) | render | fetch  # type: ignore[operator]
stage(fetch) | 3  # type: ignore[operator]

# --- options are known by name and by type
stage(fetch, concurrency=2, ordered=False, key=str, executor="loop", retry=Retry(), timeout=1.5)
stage(fetch, on_error=dead_letter(encode), rate=10, buffer=1, overflow="drop_oldest")
stage(fetch, concurency=2)  # type: ignore[call-overload]
stage(fetch, concurrency="two")  # type: ignore[call-overload]
stage(fetch, executor="fork")  # type: ignore[call-overload]
stage(fetch, on_error="ignore")  # type: ignore[call-overload]
