"""A service under load, with stages of all kinds in flight; run by ``python -m``, and sent signals."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
import time
from contextlib import asynccontextmanager

from asyncdataflow import AckableSource, DataFlow, Message, batch, stage
from asyncdataflow.errors import ShutdownTimeoutError
from tests.process_functions import same


def say(words):
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


class Endless(AckableSource):
    """Gives numbers as fast as they are taken, and knows what became of each."""

    max_unacked = 500

    def __init__(self):
        self.taken, self.acked, self.nacked = [], [], []

    @asynccontextmanager
    async def open(self, after=None):
        yield self

    async def __aiter__(self):
        for number in itertools.count():
            self.taken.append(number)
            yield Message(number)
            if number % 7 == 0:
                await asyncio.sleep(0.001)

    async def answer(self, answers):
        for each in answers:
            (self.acked if each.is_ack else self.nacked).append(each.message.item)
        await asyncio.sleep(0)


async def on_the_loop(item):
    await asyncio.sleep(item % 5 / 1000)
    return item


def in_a_thread(item):
    time.sleep(0.001)
    return item


def hangs(item):
    if item == 20:
        say("hanging")
        time.sleep(1000)
    return item


def main():
    logging.basicConfig(level=logging.INFO)
    source, stored = Endless(), []

    async def store(items):
        await asyncio.sleep(0.001)
        stored.extend(items)

    steps = [
        stage(on_the_loop, concurrency=8),
        stage(in_a_thread, concurrency=4),
        stage(same, concurrency=2, executor="process"),
    ]
    if sys.argv[1] == "hangs":
        steps = [stage(hangs)]
    if sys.argv[1] == "blocks":
        steps = [stage(hangs, executor="inline")]
    flow = DataFlow((source, *steps, batch(50), store))
    try:
        served = asyncio.run(
            flow.serve(
                stop_timeout=float(sys.argv[2]),
                on_start=lambda _: asyncio.get_running_loop().call_later(0.05, say, "started"),
            )
        )
        code = served.exit_code
    except ShutdownTimeoutError as error:
        sys.stderr.write(f"{error}\n")
        code = 3
    told = {"taken": source.taken, "acked": source.acked, "nacked": source.nacked, "stored": stored}
    say(json.dumps(told))
    sys.exit(code)


if __name__ == "__main__":
    main()
