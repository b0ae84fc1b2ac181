"""What befalls the servers and the services while they work."""

from __future__ import annotations

import functools
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.servers import Server

from .service import Service

__all__ = ("Strikes",)

_LONGEST_OUTAGE = 4.0


@dataclass
class Strikes:
    """All that may happen, each kind as often as any other, in an order drawn by the seed.

    Args:
        rng: Draws.
        servers: Stopped and started again, by their names; with the signal by which their owner stops each.
        steady: Services that are to live through all of it; of the first a worker process is killed at times.
        struck: Services that get signals.

    Attributes:
        done: How often what has happened.
    """

    rng: random.Random
    servers: dict[str, tuple[Server, signal.Signals]]
    steady: list[Service]
    struck: list[Service]
    done: Counter[str] = field(default_factory=Counter)

    def endless(self) -> Iterator[Callable[[], None]]:
        """One after the other."""
        kinds = [*self._to_servers(), *self._to_services()]
        while True:
            bag = list(kinds)
            self.rng.shuffle(bag)
            for told, strike in bag:
                self.done[told] += 1
                yield strike

    def _to_servers(self) -> Iterator[tuple[str, Callable[[], None]]]:
        for name, (server, gently) in self.servers.items():
            for number in (gently, signal.SIGKILL):
                yield f"{name} {number.name}", functools.partial(self._restart, server, number)

    def _to_services(self) -> Iterator[tuple[str, Callable[[], None]]]:
        for each in self.struck:
            for numbers, codes in _ENDS:
                told = f"{each.name} {'+'.join(number.name for number in numbers)}"
                yield told, functools.partial(each.signal, numbers, codes)
        for each in (*self.struck, *self.steady[:1]):
            yield f"{each.name} worker SIGKILL", each.kill_worker

    def _restart(self, server: Server, number: signal.Signals) -> None:
        if number is signal.SIGKILL:
            server.kill()
        else:
            server.stop(number)
        time.sleep(self.rng.uniform(0, _LONGEST_OUTAGE))
        server.start()


_ENDS = (
    ((signal.SIGTERM,), {0}),
    ((signal.SIGINT,), {130}),
    # It may have been through with its drain.
    ((signal.SIGTERM, signal.SIGTERM), {0, 3}),
    ((signal.SIGKILL,), {-signal.SIGKILL}),
)
