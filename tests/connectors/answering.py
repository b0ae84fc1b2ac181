"""What tests of answered sources do: take, ack, nack."""

from __future__ import annotations

from asyncdataflow.message import Answer

__all__ = ("ack", "items_of", "nack", "take")


async def take(session, most=None):
    """Messages, up to so many or to the end."""
    taken = []
    while most is None or len(taken) < most:
        try:
            taken.append(await anext(session))
        except StopAsyncIteration:
            break
    return taken


def items_of(messages):
    return [each.item for each in messages]


async def ack(session, *messages):
    await session.answer([Answer(each) for each in messages])


async def nack(session, *messages, error=None):
    await session.answer([Answer(each, error or LookupError("nacked")) for each in messages])
