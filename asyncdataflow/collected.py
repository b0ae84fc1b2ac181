"""Collected: all that a run makes, in the shape in which a call returns it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from .engine import LiveRun
from .graph import Places

__all__ = ("collected", "outcome", "placed")


async def collected(run: LiveRun[Any]) -> Any:
    """Run to the end: the value itself where there can be only one, else all results."""
    async with run:
        one = run.graph.one
        if one is None:
            return [result async for result in run]
        values: dict[str, Any] = {}
        while True:
            try:
                place, value = await run.next_placed()
            except StopAsyncIteration:
                return placed(one, values)
            values[run.graph.outputs[place]] = value


async def outcome(run: LiveRun[Any]) -> tuple[Any, BaseException | None]:
    """The result of a run, or what is to be raised outside ``asyncio.run``.

    That formats the finished task, its error included, when it puts back the handler of
    SIGINT, and breaks for good over an error whose ``__repr__`` raises. A result it
    formats with care. A cancellation is left to it: it knows whether that was Ctrl-C.
    """
    try:
        return await collected(run), None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - raised by whom it is returned to
        return None, error


def placed(one: str | Places, values: Mapping[str, Any]) -> Any:
    """The values in the shape of the last step, by the stages that made them."""
    if isinstance(one, str):
        return values.get(one)
    members = [placed(each, values) for each in one.members]
    if one.kind == "tuple":
        return tuple(members)
    return dict(zip(one.names, members, strict=True))
