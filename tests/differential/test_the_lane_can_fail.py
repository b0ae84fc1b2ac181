"""Operators with a known mistake: random timelines find each within the examples of a test."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import Phase, find, settings

from asyncdataflow._runtime import worker
from asyncdataflow._runtime.order import Order
from asyncdataflow.errors import EndOfChannel
from asyncdataflow.operators import accumulate, combine, select
from tests.differential.cases import CASES

FINDS = settings(max_examples=200, database=None, phases=[Phase.generate])


async def merge_that_ends_with_a_branch(self, inlets, emit, apply):
    (inlet,) = inlets
    channel = inlet._receiver.channel
    branches = channel._senders
    with suppress(EndOfChannel):
        while channel._senders == branches:
            await emit(await inlet.receive())


async def zip_without_its_first_row(self, inlets, emit, apply):
    rows = 0
    with suppress(EndOfChannel):
        while True:
            row = tuple([await inlet.receive() for inlet in inlets])
            if rows:
                await emit(row)
            rows += 1


async def zip_that_never_tells(self, inlets, emit, apply):
    with suppress(EndOfChannel):
        while True:
            await emit(tuple([await inlet.receive() for inlet in inlets]))


async def latest_of_all_anew(self, inlets, emit, apply):
    (inlet,) = inlets
    latest: dict[int, Any] = {}
    with suppress(EndOfChannel):
        while True:
            port, latest[port] = await inlet.receive()
            if len(latest) == self.ports:
                await emit(tuple(latest[each] for each in range(self.ports)))
                latest.clear()


async def concat_in_the_order_of_ends(self, inlets, emit, apply):
    for inlet in reversed(inlets):
        with suppress(EndOfChannel):
            while True:
                await emit(await inlet.receive())


async def scan_without_its_first_state(self, inlets, emit, apply):
    (inlet,) = inlets
    with suppress(EndOfChannel):
        state = self.initial if self.initial is not accumulate._UNSET else await inlet.receive()
        while True:
            state = await apply(state, await inlet.receive())
            await emit(state)


async def batch_that_drops_the_last(self, inlets, emit, apply):
    (inlet,) = inlets
    ended = False
    while not ended:
        lot: list[Any] = []
        ended = await self._collect(inlet, lot)
        if len(lot) == self.size:
            await emit(lot)


async def batch_that_counts_from_each_item(self, inlet, lot):
    while len(lot) < self.size:
        try:
            async with asyncio.timeout(self.seconds if lot else None):
                lot.append(await inlet.receive())
        except TimeoutError:
            return False
        except EndOfChannel:
            return True
    return False


async def take_that_waits_for_one_more(self, inlets, emit, apply):
    (inlet,) = inlets
    with suppress(EndOfChannel):
        for _ in range(self.count):
            await emit(await inlet.receive())
        await inlet.receive()


async def in_the_order_of_ends(self, ticket, result):
    await self._send(result)


def without_places_to_park(places, send, meter=None):
    return Order(0, send, meter)


def with_places_without_bound(places, send, meter=None):
    return Order(1000, send, meter)


MISTAKES = {
    "merge ends with its first branch": ("merge", combine.Merge, "run", merge_that_ends_with_a_branch),
    "zip drops a row": ("zip, even", combine.Zip, "run", zip_without_its_first_row),
    "zip is silent": ("zip, an error if uneven", combine.Zip, "run", zip_that_never_tells),
    "zip waits in order of branches": ("zip, shortest", combine.Zip, "run", zip_that_never_tells),
    "latest forgets": ("combine_latest", combine.CombineLatest, "run", latest_of_all_anew),
    "concat is not in order": ("concat", combine.Concat, "run", concat_in_the_order_of_ends),
    "scan drops its first state": ("scan", accumulate.Scan, "run", scan_without_its_first_state),
    "batch drops its last": ("batch", accumulate.Batch, "run", batch_that_drops_the_last),
    "batch moves its deadline": (
        "batch, in time",
        accumulate.Batch,
        "_collect",
        batch_that_counts_from_each_item,
    ),
    "take waits for one more": ("take", select.Take, "run", take_that_waits_for_one_more),
    "ordered map is not ordered": ("ordered map", Order, "finish", in_the_order_of_ends),
    "ordered map parks nothing": ("ordered map", worker, "Order", without_places_to_park),
    "ordered map parks without bound": ("ordered map", worker, "Order", with_places_without_bound),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake, monkeypatch):
    name, place, attribute, wrong = MISTAKES[mistake]
    case = CASES[name]
    monkeypatch.setattr(place, attribute, wrong)
    find(
        case.plans("moments"),
        lambda plan: case.run_ours(plan, "moments") != case.expected(plan),
        settings=FINDS,
        random=random.Random(0),
    )
