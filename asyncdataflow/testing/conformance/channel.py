"""check_channel: what the runtime relies on in a bounded edge."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable
from typing import Any, Final

from ..seeded_loop import quiet
from .channel_ends import (
    closes_once,
    ends_behind_its_items,
    holds_its_capacity,
    takes_any_item,
    tells_senders,
)
from .play import AnyChannel, Play
from .rules import Rule, judge
from .schedules import Channels, Scenario

__all__ = ("check_channel",)

_SEEDS_OF_A_SWEEP: Final = 4
"""It has a run for each step and each task; more seeds find less there than elsewhere."""


def _drawn(seed: int) -> tuple[random.Random, int, int, int]:
    draw = random.Random(seed)  # noqa: S311 - a schedule, no secret
    return draw, draw.choice((1, 1, 2, 5)), draw.randint(1, 4), draw.randint(1, 4)


async def _keeps_all(channels: Channels, seed: int) -> str | None:
    draw, capacity, producers, consumers = _drawn(seed)
    async with channels.open(capacity) as channel:
        play = Play(channel, capacity, producers, consumers, draw)
        await quiet()
        play.close()
        await quiet()
        return await play.count()


async def _goes_on(channels: Channels, seed: int) -> str | None:
    draw, _, producers, consumers = _drawn(seed)
    async with channels.open(1) as channel:
        play = Play(channel, 1, producers, consumers, draw)
        play.close()
        await quiet()
        waiting = play.waiting()
        return waiting and f"with one slot, these waited for good: {waiting}"


async def _keeps_order(channels: Channels, seed: int) -> str | None:
    draw, capacity, producers, consumers = _drawn(seed)
    async with channels.open(capacity) as channel:
        play = Play(channel, capacity, producers, consumers, draw)
        await quiet()
        return play.disorder()


async def _wakes(channels: Channels, seed: int) -> str | None:
    draw, capacity, producers, consumers = _drawn(seed)
    async with channels.open(capacity) as channel:
        play = Play(channel, capacity, producers, consumers, draw)
        for victim in draw.sample(play.tasks, draw.randrange(len(play.tasks))):
            for _ in range(draw.randrange(6)):
                await asyncio.sleep(0)
            victim.cancel()
        await quiet()
        return play.beside()


def _has_not_happened(channels: Channels) -> str | None:
    for seed in range(min(channels.seeds, _SEEDS_OF_A_SWEEP)):
        steps: list[int] = []
        seen = channels.run(seed, functools.partial(_sweep, channels, seed, None, steps))
        if seen:
            return f"seed {seed}, nobody cancelled: {seen}"
        for step in range(1, steps[0] + 1):
            for victim in range(4):
                run = functools.partial(_sweep, channels, seed, (step, victim), steps)
                seen = channels.run(seed, run)
                if seen:
                    return f"seed {seed}, task {victim} cancelled after step {step}: {seen}"
    return None


async def _sweep(channels: Channels, seed: int, hit: tuple[int, int] | None, steps: list[int]) -> str | None:
    """Two producers and two consumers, one of which is cancelled after some step."""
    loop: Any = asyncio.get_running_loop()
    capacity = 1 + seed % 2
    async with channels.open(capacity) as channel:
        play = Play(channel, capacity, 2, 2, random.Random(seed))  # noqa: S311 - no secret
        if hit is not None:
            step, victim = hit
            loop.hooks[loop.steps + step] = play.tasks[victim].cancel
        before = loop.steps
        await quiet()
        steps.append(loop.steps - before)
        seen = play.beside()
        play.close()
        await quiet()
        # Whoever was not cancelled has one of its kind left, or is it.
        waiting = play.waiting()
        return seen or await play.count() or (waiting and f"these waited for good: {waiting}")


async def _serves_senders(channels: Channels, seed: int) -> str | None:
    senders = 3

    async def produce(sender: Any, number: int) -> None:
        while True:
            await sender.send(number)

    async with channels.open(1) as channel:
        receiver = channel.receiver()
        for number in range(senders):
            asyncio.create_task(produce(channel.sender(), number))  # noqa: RUF006 - ended with the channel
        served = []
        for _ in range(8 * senders):
            await quiet()
            served.append(receiver.receive_nowait())
        return _starved(served, senders, "sender")


async def _serves_receivers(channels: Channels, seed: int) -> str | None:
    receivers = 3
    served: list[int] = []

    async def consume(receiver: Any, number: int) -> None:
        while True:
            await receiver.receive()
            served.append(number)

    async with channels.open(1) as channel:
        sender = channel.sender()
        for number in range(receivers):
            asyncio.create_task(consume(channel.receiver(), number))  # noqa: RUF006 - ended with the channel
        for number in range(8 * receivers):
            await quiet()
            sender.send_nowait(number)
        await quiet()
        return _starved(served, receivers, "receiver")


def _starved(served: list[int], many: int, kind: str) -> str | None:
    for start in range(len(served) - 2 * many + 1):
        missing = set(range(many)) - set(served[start : start + 2 * many])
        if missing:
            return f"{many} waited, and {kind} {min(missing)} was left out {2 * many} times in a row"
    return None


async def _is_fair(channels: Channels, seed: int) -> str | None:
    return await _serves_senders(channels, seed) or await _serves_receivers(channels, seed)


def _each_seed(scenario: Scenario) -> Callable[[Channels], str | None]:
    return lambda channels: channels.each_seed(scenario)


_RULES: Final = (
    (Rule("A1", "No item is lost or comes twice, whoever runs when."), _each_seed(_keeps_all)),
    (
        Rule("A2", "A send or receive that was cancelled, at whatever step, has not happened."),
        _has_not_happened,
    ),
    (
        Rule("A3", "At rest no receiver waits beside an item, and no sender beside a free slot."),
        _each_seed(_wakes),
    ),
    (
        Rule("A5", "It holds as many items as its capacity says, and no more."),
        _each_seed(holds_its_capacity),
    ),
    (Rule("A6", "With room for one item, everything sent is received."), _each_seed(_goes_on)),
    (Rule("A8", "Items come in the order in which each producer sent them."), _each_seed(_keeps_order)),
    (Rule("A9", "Whoever waits is served, before others are served again and again."), _each_seed(_is_fair)),
    (
        Rule(
            "A10",
            "Behind the last item of the last sender, every receiver hears the end, and again.",
        ),
        _each_seed(ends_behind_its_items),
    ),
    (
        Rule("A11", "When every receiver has closed, senders hear it at once, also those that wait."),
        _each_seed(tells_senders),
    ),
    (
        Rule("B21", "Any object is an item: None, what counts as false, exceptions."),
        _each_seed(takes_any_item),
    ),
    (Rule("C31", "Closing an end again is nothing."), _each_seed(closes_once)),
)


def check_channel(make: Callable[[int], AnyChannel], *, seeds: int = 100) -> tuple[Rule, ...]:
    """Try whether a channel keeps to what the runtime relies on in an edge.

    Producers and consumers use it in many orders of steps, and are cancelled at every one, on
    seeded loops on virtual time: call it from a plain test function. The rules are

    - A1: no item is lost or comes twice, with any number of producers and consumers;
    - A2: a send or receive that was cancelled, at whatever step, has not happened, and nobody else
      waits in vain for it;
    - A3: at rest no receiver waits beside an item, and no sender beside a free slot;
    - A5: it holds as many items as its capacity says, and no more;
    - A6: with room for one item, everything sent is received;
    - A8: items come in the order in which each producer sent them;
    - A9: whoever waits is served;
    - A10: behind the last item of the last sender, every receiver hears the end, and again;
    - A11: when every receiver has closed, senders hear it at once, also those that wait;
    - B21: any object is an item;
    - C31: closing an end again is nothing.

    Args:
        make: Makes a channel with room for so many items, on a running loop: an object with
            ``sender()`` and ``receiver()``. Its senders have ``send``, ``send_nowait`` and
            ``close``, its receivers ``receive``, ``receive_nowait`` and ``close``; they raise
            ``EndOfChannel``, ``ChannelClosed`` and ``WouldBlock`` of ``asyncdataflow.errors``. What
            has to be closed behind its ends has a coroutine method ``aclose``.
        seeds: How many orders of steps.

    Returns:
        The rules that were tried; all of them hold.

    Raises:
        BrokenRuleError: It breaks some, each told with its number and what was seen.

    Example:
        >>> from asyncdataflow import Buffer
        >>> from asyncdataflow._runtime.channel import Channel
        >>> from asyncdataflow.testing import check_channel
        >>> rules = check_channel(lambda capacity: Channel(Buffer(capacity)), seeds=5)
        >>> print(*(rule.number for rule in rules))
        A1 A2 A3 A5 A6 A8 A9 A10 A11 B21 C31
        >>> check_channel(lambda capacity: Channel(Buffer(capacity + 1)), seeds=5)
        Traceback (most recent call last):
        asyncdataflow.errors.BrokenRuleError: the channel breaks 1 of 11 rules:
          A5: It holds as many items as its capacity says, and no more.
            seen: seed 0: item 2 was taken without waiting, with a capacity of 1
    """
    channels = Channels(make, seeds)
    return judge("the channel", ((rule, functools.partial(check, channels)) for rule, check in _RULES))
