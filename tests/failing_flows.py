"""Definitions with one stage that raises, of every sort that can."""

from __future__ import annotations

import itertools

from asyncdataflow import filter_, route, scan, split, stage, zip_

__all__ = ("SORTS", "OwnError", "endless", "numbers", "raiser", "same", "same_in_thread")


class OwnError(Exception):
    """The user's own."""


async def numbers(limit=5):
    for number in range(limit):
        yield number


async def endless():
    for number in itertools.count():
        yield number


async def same(item):
    return item


def same_in_thread(item):
    return item


def raiser(error, after=2):
    """The callables of every sort that raise at an item; a source raises behind it."""

    def deep(item):
        if item == after:
            raise error
        return item

    async def coroutine(item):
        return deep(item)

    def function(item):
        return deep(item)

    async def async_generator(item):
        yield deep(item)

    def generator(item):
        yield deep(item)

    async def async_source():
        for number in itertools.count():
            yield deep(number)

    def source():
        for number in itertools.count():
            yield deep(number)

    class Iterable:
        def __iter__(self):
            return source()

    class AsyncIterable:
        def __aiter__(self):
            return async_source()

    return {
        "coroutine": (numbers, coroutine),
        "function": (numbers, function),
        "async generator": (numbers, async_generator),
        "generator": (numbers, generator),
        "async source": (async_source, same),
        "source": (source, same),
        "iterable": (Iterable(), same),
        "async iterable": (AsyncIterable(), same),
        "several workers": (numbers, stage(coroutine, concurrency=3)),
        "several threads": (numbers, stage(function, concurrency=3, ordered=False)),
        "by key": (numbers, stage(coroutine, concurrency=3, key=lambda n: n)),
        "its key": (numbers, stage(same, concurrency=3, key=deep)),
        "inline": (numbers, stage(function, executor="inline")),
        "filter": (numbers, filter_(deep)),
        "route": (numbers, route(deep, on_error="fail"), {0: same, 1: same, 2: same}),
        "split": (numbers, split(lambda n: (deep(n), n)), (same, same_in_thread)),
        "scan": (numbers, scan(lambda so_far, n: deep(n), 0)),
        "zip": ((numbers, coroutine), zip_, same),
        "branch": (numbers, (same, coroutine, same_in_thread)),
    }


SORTS = [name for name in raiser(None) if name not in ("route", "zip")]
