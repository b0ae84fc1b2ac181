"""What ``asyncdataflow new`` writes: a flow, its test and its configuration."""

from __future__ import annotations

from string import Template
from typing import Final

__all__ = ("CONFIGURATION", "FLOW", "TEST")

FLOW: Final = Template('''\
"""$name: orders are read, priced and billed."""

import asyncio
from collections.abc import Iterator

from asyncdataflow import DataFlow, stage


def orders(count: int) -> Iterator[dict[str, int]]:
    """A source: a generator, read in a thread. `count` is a parameter of the run."""
    for number in range(1, count + 1):
        yield {"order": number, "pieces": number % 5 + 1}


async def price(order: dict[str, int]) -> dict[str, int]:
    """On the loop: a place for requests and queries."""
    await asyncio.sleep(0.01)
    return {**order, "total": order["pieces"] * 10}


def bill(order: dict[str, int]) -> str:
    """A plain function, in a thread of its own."""
    return f"order {order['order']}: {order['total']}"


flow = DataFlow((orders, stage(price, concurrency=4), bill), name="$name")
''')

TEST: Final = Template('''\
"""What $name has to do: `pip install pytest`, then `asyncdataflow test $name.py`."""

import pytest

from $name import flow


def test_every_order_gets_its_bill():
    assert flow(count=2) == ["order 1: 20", "order 2: 30"]


@pytest.mark.simulate(seeds=50)
async def test_the_same_in_every_order_of_events():
    """Run once for each seed, on virtual time: see the testing page of asyncdataflow."""
    bills = await flow.run({"count": 5})
    assert [bill.partition(":")[0] for bill in bills] == [f"order {number}" for number in range(1, 6)]
''')

CONFIGURATION: Final = Template("""\
# asyncdataflow run -c $name.toml
flow = "$name.py:flow"

[params]
count = "$${COUNT:5}"    # the environment variable COUNT, else 5

[stages.price]
concurrency = 8
timeout = 5.0
retry = { attempts = 3, backoff = 0.1 }

[service]
drain_timeout = 30
stop_timeout = 5
""")
