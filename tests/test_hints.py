"""Annotations of callables of every sort."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from asyncdataflow import stage
from asyncdataflow.hints import hints_of

if TYPE_CHECKING:
    from nowhere import Unknown


def plain(number: int, word: str = "") -> float: ...


def partly(number: int, unknown: Unknown) -> float: ...


class Called:
    def __init__(self, size: int) -> None: ...

    def __call__(self, number: int) -> str: ...

    def method(self, number: bytes) -> str: ...


def test_functions_partials_methods_objects_and_classes():
    assert hints_of(plain) == {"number": int, "word": str, "return": float}
    assert hints_of(functools.partial(plain, word="x"))["number"] is int
    assert hints_of(Called(1)) == {"number": int, "return": str}
    assert hints_of(Called(1).method)["number"] is bytes
    assert hints_of(Called) == {"size": int, "return": Called}
    assert hints_of(stage(plain).fn)["return"] is float


def test_one_that_cannot_be_evaluated_hides_no_other():
    assert hints_of(partly) == {"number": int, "return": float}


def test_what_has_none_has_none():
    assert hints_of(len) == {}
    assert hints_of(lambda n: n) == {}
