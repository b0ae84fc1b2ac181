"""A service whose queue loses its connection, and which ends cleanly when it is told to.

``Orders`` is a queue that is told what became of each order; it breaks now and then, is opened anew, and
gives again what was not acked. Ctrl-C or ``kill`` drains: what was taken is stored before the program ends.
With an argument it does that to itself after so many seconds.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from asyncdataflow import AckableSource, Answer, DataFlow, Message, batch, stage
from asyncdataflow.policy import Restart


class Orders(AckableSource[int]):
    """Orders without end; each session breaks after a hundred."""

    def __init__(self) -> None:
        self.next = 0
        self.unacked: set[int] = set()
        self.sessions = 0

    @asynccontextmanager
    async def open(self, after: Any = None) -> AsyncIterator["Orders"]:
        """Connect."""
        self.sessions += 1
        yield self

    async def __aiter__(self) -> AsyncGenerator[Message[int], None]:
        """What was not acked comes first."""
        for order in sorted(self.unacked):
            yield Message(order)
        for _ in range(100):
            self.next += 1
            self.unacked.add(self.next)
            yield Message(self.next)
            await asyncio.sleep(0.001)
        raise ConnectionError("the queue has closed the connection")

    async def answer(self, answers: Sequence[Answer]) -> None:
        """What became of some."""
        self.unacked -= {each.message.item for each in answers if each.is_ack}


def price(order: int) -> tuple[int, int]:
    """In a thread of its stage."""
    time.sleep(0.0005)
    return order, order % 7 * 250


stored: list[tuple[int, int]] = []


async def store(orders: list[tuple[int, int]]) -> None:
    """Many at a time; the last of them when the service drains."""
    await asyncio.sleep(0.01)
    stored.extend(orders)


orders = Orders()
# Without end, since this queue never gets better.
often = Restart(attempts=None, first=0.01, most=0.1, settle=1)
flow = DataFlow((stage(orders, restart=often), price, batch(20, seconds=0.1), store))


async def main() -> int:
    """Serve, and say how it went."""
    for seconds in sys.argv[1:]:
        asyncio.get_running_loop().call_later(float(seconds), os.kill, os.getpid(), signal.SIGTERM)
    served = await flow.serve(drain_timeout=10)
    once = [order for order, _ in stored] == list(range(1, orders.next + 1))
    by = served.signal.name if served.signal else "itself"
    print(f"{served.reason} by {by}, after {orders.sessions} sessions")
    print(
        f"{len(stored)} orders stored, each {'once' if once else 'NOT once'}, {len(orders.unacked)} not acked"
    )
    return served.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
