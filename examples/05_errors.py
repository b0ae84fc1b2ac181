"""What becomes of an item that fails: tried again, given up in time, left out, kept aside, or the end.

``fetch`` is tried again, ``look`` gives up on what hangs and leaves it out, ``check`` sends what it
refuses to a sink of its own. ``load`` has no policy, so its first error ends the run, and the
caller gets that very exception.
"""

import asyncio

from asyncdataflow import DataFlow, DeadLetter, Retry, dead_letter, stage


class Network:
    """Fails the first time that anything is asked of it."""

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def get(self, number: int) -> int:
        """The second time all is well."""
        if number not in self.asked:
            self.asked.add(number)
            raise ConnectionError("reset by peer")
        return number


@stage(retry=Retry(attempts=3, backoff=0.01, on=ConnectionError))
async def fetch(number: int, *, network: Network) -> int:
    """Tried up to three times, with growing waits, after a ``ConnectionError`` and no other."""
    return network.get(number)


@stage(timeout=0.1, on_error="skip", concurrency=4)
async def look(number: int) -> int:
    """Number 3 hangs: it is cancelled after its time, left out, and counted."""
    await asyncio.sleep(3600 if number == 3 else 0)
    return number


async def keep(letter: DeadLetter) -> None:
    """A dead-letter sink gets the item, the error, the stage and the number of attempts."""
    print(f"kept aside: {letter.item} of {letter.stage}, {letter.error!r}")


@stage(on_error=dead_letter(keep))
def check(number: int) -> int:
    """Refuses number 5."""
    if number == 5:
        raise ValueError("nobody wants a five")
    return number


def load(number: int) -> int:
    """Nothing is said of errors here, so an error ends the run."""
    if number == 8:
        raise RuntimeError("the disk is full")
    return number


flow = DataFlow((range(10), fetch, look, check, load), resources={"network": Network})


async def main() -> None:
    """What was ready before the error comes first; then the error itself."""
    run = flow.stream()
    try:
        async with run:
            async for number in run:
                print(f"loaded {number}")
    except RuntimeError as error:
        print(f"the run ended with {error!r}")
        print("\n".join(error.__notes__))
    stats = run.stats().stages
    print(f"tried again: {stats['fetch'].retried}, left out: {stats['look'].skipped}, ", end="")
    print(f"kept aside: {stats['check'].dead_lettered}, fatal: {stats['load'].failed}")


if __name__ == "__main__":
    asyncio.run(main())
