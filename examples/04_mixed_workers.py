"""Waiting, blocking and computing in one flow, each where it belongs.

====================  ==================  ====================================
stage                 runs                because
====================  ==================  ====================================
``orders``, ``look``  on the loop         it awaits: many at once, no threads
``fetch``             in 4 threads        it blocks: a driver that knows no loop
``score``             in 2 processes      it computes: a model, loaded once each
====================  ==================  ====================================
"""

import asyncio
import math
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from asyncdataflow import DataFlow, stage


@dataclass(frozen=True)
class Order:
    """What flows: each stage makes a new one, so that branches could share it safely."""

    number: int
    customer: str = ""
    text: str = ""
    score: float = 0.0
    seen_by: dict[str, str] = field(default_factory=dict)


class Directory:
    """Stands for a connection pool: one for the whole run."""

    async def name_of(self, number: int) -> str:
        """Ask somebody else and wait."""
        await asyncio.sleep(0.01)
        return f"customer {number % 7}"


class Model:
    """Stands for what is slow to load and cannot be shared: one for each worker process."""

    def __init__(self) -> None:
        self.weights = [math.sin(each) for each in range(1000)]

    def score(self, text: str) -> float:
        """Keep a core busy."""
        return sum(weight * len(text) for weight in self.weights for _ in range(20))


async def orders(count: int) -> AsyncIterator[Order]:
    """The source; ``count`` is a run parameter."""
    for number in range(count):
        yield Order(number)


async def look(order: Order, *, directory: Directory) -> Order:
    """``directory`` is the resource of that name."""
    return replace(order, customer=await directory.name_of(order.number), seen_by={"look": "the loop"})


def fetch(order: Order) -> Order:
    """A plain function: in threads of this stage, never in the loop's default executor."""
    seen_by = {**order.seen_by, "fetch": threading.current_thread().name}
    return replace(order, text=f"order {order.number} of {order.customer}", seen_by=seen_by)


def score(order: Order, *, model: Model) -> Order:
    """``model`` is made once in each process, by ``per_worker=``."""
    return replace(
        order, score=model.score(order.text), seen_by={**order.seen_by, "score": f"process {os.getpid()}"}
    )


@asynccontextmanager
async def open_directory() -> AsyncIterator[Directory]:
    """Entered when a run starts, left when its last worker has ended."""
    yield Directory()


flow = DataFlow(
    (
        orders,
        stage(look, concurrency=20),
        stage(fetch, concurrency=4),
        stage(score, executor="process", concurrency=2, per_worker={"model": Model}),
    ),
    resources={"directory": open_directory},
)


async def main() -> None:
    """Results come in the order of the orders, whoever was quicker."""
    async with flow.stream({"count": 40}) as run:
        places: dict[str, set[str]] = {}
        numbers = []
        async for order in run:
            numbers.append(order.number)
            for name, where in order.seen_by.items():
                places.setdefault(name, set()).add(where)
    assert numbers == list(range(40))
    for name, where in places.items():
        print(f"{name}: {len(where)} {'place' if len(where) == 1 else 'places'}, as {min(where)}")


if __name__ == "__main__":
    asyncio.run(main())
