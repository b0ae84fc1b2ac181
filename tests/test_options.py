"""Values of options that cannot be, refused where they are written."""

from __future__ import annotations

import pytest

from asyncdataflow import Buffer, Retry, stage


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


async def key_that_would_be_awaited(item):
    return item


class KeyOfAnObject:
    async def key(self, item):
        return item


@pytest.mark.parametrize(
    "function", [key_that_would_be_awaited, KeyOfAnObject().key], ids=["function", "method"]
)
class TestWhatIsCalledAndNotAwaited:
    """Each coroutine would be a key of its own, and the order per key would be gone in silence."""

    def test_a_key_is_no_coroutine_function(self, function):
        with pytest.raises(ValueError, match="key="):
            stage(failing, key=function, concurrency=2)

    def test_nor_is_the_size_of_a_buffer(self, function):
        with pytest.raises(ValueError, match="size="):
            Buffer(bytes=10, size=function)
