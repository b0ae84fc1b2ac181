"""Flows of every world, small enough for hundreds of seeds; functions of processes are found by name."""

from __future__ import annotations

import asyncio
import time

from asyncdataflow import DataFlow, batch, merge, stage, zip_

COUNT = 8


async def numbers():
    for n in range(COUNT):
        yield n


def numbers_in_a_thread():
    yield from range(COUNT)


async def slowly(n):
    await asyncio.sleep(0.01 * (n % 3))
    return n


def in_a_thread(n):
    time.sleep(0.01 * (n % 3))
    return n


def in_a_process(n):
    return n


async def twice(n):
    yield n
    await asyncio.sleep(0)
    yield n


def twice_in_a_thread(n):
    yield n
    yield n


def chain():
    return DataFlow((numbers, slowly, slowly))


def inline():
    return DataFlow((numbers, stage(in_a_process, executor="inline"), slowly))


def threads():
    return DataFlow((numbers_in_a_thread, stage(in_a_thread, concurrency=3, buffer=1), slowly))


def processes():
    return DataFlow((numbers, stage(in_a_process, executor="process", concurrency=2), slowly))


def generators():
    return DataFlow((numbers, stage(twice, concurrency=2), stage(twice_in_a_thread, executor="thread")))


def mixed():
    return DataFlow((
        (numbers, numbers_in_a_thread),
        merge,
        stage(in_a_thread, concurrency=2, ordered=False),
        stage(in_a_process, executor="process"),
        stage(slowly, concurrency=3, key=lambda n: n % 2),
    ))  # fmt: skip


def diamond():
    return DataFlow((numbers, (slowly, stage(in_a_thread, buffer=1)), zip_(), batch(3, 0.05)))


WORLDS = [chain, inline, threads, processes, generators, mixed, diamond]
