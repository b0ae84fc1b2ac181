"""Values written as text, for parameters of every kind."""

from __future__ import annotations

import datetime
import enum
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from asyncdataflow.from_text import Text, as_annotated, converted


class Colour(enum.Enum):
    RED = "red"
    ONE = 1


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("7", int, 7),
        ("-7", int, -7),
        ("7", float, 7.0),
        ("7", str, "7"),
        ("Yes", bool, True),
        ("0", bool, False),
        ("7", Any, 7),
        ("seven", Any, "seven"),
        ('{"a": [1]}', Any, {"a": [1]}),
        ("a", Literal["a", "b"], "a"),
        ("2", Literal[1, 2], 2),
        ("none", int | None, None),
        ("7", int | None, 7),
        ("none", str | None, None),
        ("7", int | str, 7),
        ("seven", int | str, "seven"),
        ("a,b", str | Sequence[str], "a,b"),
        ("a, b", Sequence[str], ["a", "b"]),
        ("[1, 2]", tuple[int, ...], (1, 2)),
        ("a", set[str], {"a"}),
        ('{"a": 1}', Mapping[str, int], {"a": 1}),
        ("x/y", Path, Path("x/y")),
        ("x/y", str | os.PathLike[str], "x/y"),
        ("red", Colour, Colour.RED),
        ("1", Colour, Colour.ONE),
        ("2026-11-23", datetime.date, datetime.date(2026, 11, 23)),
    ],
)
def test_a_text_is_what_the_annotation_says(text, annotation, value):
    made = as_annotated(text, annotation)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (int, "a whole number is needed"),
        (float, "a number is needed"),
        (bool, "true or false is needed"),
        (int | None, "a whole number is needed"),
        (Literal["a", "b"], "one of a, b is needed"),
        (Mapping[str, int], "a table, written as JSON, is needed"),
        (Colour, "one of red, 1 is needed"),
        (datetime.date, "ISO 8601"),
        (Callable[[int], int], "a Callable cannot be written as text"),
    ],
)
def test_what_is_wrong_is_told_without_the_text(annotation, says):
    """It may be a secret in the wrong place."""
    with pytest.raises(ValueError, match=says) as caught:
        as_annotated("hunter2 [", annotation)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_only_texts_that_stand_for_something_are_converted():
    assert converted("7", int) == "7"
    assert converted(Text("7"), int) == 7
    assert converted([Text("7"), "7", {"a": Text("true")}], Any) == [7, "7", {"a": True}]


def test_a_text_does_not_show_itself():
    assert "hunter2" not in repr([Text("hunter2")])
    assert f"{Text('shown')}" == "shown"
