"""From plain code, as in a notebook: look at the first results, and go when you have seen enough.

``iterate`` runs the flow on a loop in a thread of its own, so it works where a loop runs already.
Each result is fetched when it is asked for: an endless source is no trouble.
"""

import itertools
from collections.abc import Iterator

from asyncdataflow import DataFlow, batch, stage


def walk(start: int) -> Iterator[int]:
    """An endless source: the numbers that follow ``start``."""
    yield from itertools.count(start)


async def is_prime(number: int) -> tuple[int, bool]:
    """A coroutine function; nothing in this file has to know of a loop."""
    return number, number > 1 and all(number % each for each in range(2, int(number**0.5) + 1))


def primes(judged: tuple[int, bool]) -> Iterator[int]:
    """A generator makes any number of items from each; none is a filter."""
    number, prime = judged
    if prime:
        yield number


flow = DataFlow((walk, stage(is_prime, concurrency=8), primes, batch(5)))


def main() -> None:
    """Leaving the block stops the source, the workers and the thread."""
    print(flow.draw())
    print(f"at most {flow.bound()} numbers are under way at once")
    with flow.iterate({"start": 100}) as results:
        for five in results:
            print(five)
            if five[-1] > 200:
                break


if __name__ == "__main__":
    main()
