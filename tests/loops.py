"""Which loop the suite runs on: asyncio's own or, with ``TEST_LOOP=uvloop`` in the environment, uvloop's.

The library never chooses: ``asyncio.run``, ``Runner`` and ``new_event_loop`` make what the
program has set up, and here that is done once for the whole session. Loops with a
clock or an order of their own, as in ``asyncdataflow.testing``, stay what they are.
"""

from __future__ import annotations

import asyncio
import os

import pytest

__all__ = ("KINDS", "asyncios_timers", "set_up")

_CHOSEN = os.environ.get("TEST_LOOP", "asyncio")

if _CHOSEN == "uvloop":
    import uvloop

    KINDS: tuple[type, ...] = (asyncio.BaseEventLoop, uvloop.Loop)
else:
    KINDS = (asyncio.BaseEventLoop,)

asyncios_timers = pytest.mark.skipif(
    _CHOSEN != "asyncio", reason="moves the loop's clock, which only asyncio's own timers ask for the time"
)


def set_up() -> None:
    """Have every new loop be of the kind that was chosen, and make what such a loop keeps for good."""
    if _CHOSEN == "uvloop":
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    elif _CHOSEN != "asyncio":
        raise pytest.UsageError(f"TEST_LOOP is asyncio or uvloop, not {_CHOSEN!r}")
    # The first of libuv's in a process opens a pipe for signals, which no test is to be blamed for.
    asyncio.new_event_loop().close()
