"""Compare two stores row by row: ``((source, target), compare, (log, notify))``.

As a picture::

    source ──┐              ┌──> log
             ├──> compare ──┤
    target ──┘              └──> notify

``compare`` has one parameter for each branch before it, so it gets one row of each: a zip. Each
branch behind it gets everything that it returns: a broadcast.
"""

import argparse
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from asyncdataflow import DataFlow

Row = dict[str, Any]
STORED: list[Row] = [{"id": number, "price": number * 10} for number in range(1, 6)]
COPIED: list[Row] = [{**row, "price": 0} if row["id"] == 4 else row for row in STORED]


async def source() -> AsyncIterator[Row]:
    """An async generator: it runs on the loop, as a database driver would want it."""
    for row in STORED:
        yield row


def target() -> Iterator[Row]:
    """A plain generator: it runs in a thread, as a blocking driver would need it."""
    yield from COPIED


def compare(source: Row, target: Row) -> Row:
    """Called with one row of each branch, by the branches' names."""
    differs = {key: (source[key], target.get(key)) for key in source if source[key] != target.get(key)}
    return {"id": source["id"], "differs": differs}


def log(outcome: Row, *, path: Path) -> None:
    """A sink that writes everything; ``path`` is a parameter of the run."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(outcome) + "\n")


async def notify(outcome: Row) -> str | None:
    """A sink that speaks up at times: what a last step returns is a result, ``None`` is none."""
    return f"row {outcome['id']} differs in {', '.join(outcome['differs'])}" if outcome["differs"] else None


flow = DataFlow(((source, target), compare, (log, notify)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--path", type=Path, default=Path("compared.jsonl"), help="where the log goes")
    args = parser.parse_args()
    print(flow.draw())
    for message in flow(path=args.path):
        print(message)
