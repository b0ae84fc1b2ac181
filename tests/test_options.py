"""Values of options that cannot be, refused where they are written."""

from __future__ import annotations

import pytest

from asyncdataflow import Retry, stage


def failing(n):
    raise ValueError(n)


@pytest.mark.parametrize(
    "option",
    [
        {"retry": 0},
        {"retry": True},
        {"retry": 1.5},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": True},
        {"on_error": "ignore"},
        {"on_error": None},
        {"rate": 0},
        {"rate": -1},
        {"concurrency": 0},
        {"buffer": 0},
        {"buffer": None},
        {"overflow": "drop"},
        {"key": 5},
        {"executor": "threads"},
        {"ordered": 1},
        {"name": ""},
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_where_it_is_written_and_names_the_option(option):
    with pytest.raises(ValueError, match=rf"{next(iter(option))}|Retry|Rate|Buffer"):
        stage(failing, **option)


@pytest.mark.parametrize(
    "wrong",
    [
        {"backoff": -1},
        {"factor": 0.5},
        {"jitter": 1.5},
        {"jitter": -0.1},
        {"max_elapsed": 0},
        {"on": BaseException},
        {"on": ()},
        {"attempts": 0},
        {"backoff": float("nan")},
    ],
    ids=str,
)
def test_a_retry_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="Retry"):
        Retry(**wrong)
