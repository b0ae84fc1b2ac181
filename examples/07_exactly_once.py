"""A program that is killed over and over, and whose database holds every order once all the same.

``JsonLinesSource`` gives the lines of a file; ``price`` blocks, in a thread; the sink stores each
order, and in the same transaction how far the file is done. Whenever the program dies, here by
``os._exit`` amid its work, the next one goes on behind that.
"""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from asyncdataflow import DataFlow
from asyncdataflow.connectors.json_lines import JsonLinesSource
from asyncdataflow.connectors.sqlite import SqliteTransactionalSink

ORDERS = 3_000
TABLE = "CREATE TABLE IF NOT EXISTS orders (id, cents)"


def price(order: dict[str, Any]) -> dict[str, Any]:
    """In a thread of its stage; the program dies where it is told to."""
    if order["id"] == int(sys.argv[1]):
        os._exit(1)
    return {**order, "cents": order["items"] * 250}


flow = DataFlow(
    (
        JsonLinesSource("orders.jsonl"),
        price,
        SqliteTransactionalSink("orders.db", "orders", columns=("id", "cents"), create=TABLE, chunk=100),
    ),
    delivery="exactly_once",
)


def main() -> None:
    """Die twice, come through once, and count."""
    lines = (json.dumps({"id": number, "items": number % 5}) for number in range(ORDERS))
    Path("orders.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for dies_at in (1_000, 2_000, -1):
        done = subprocess.run([sys.executable, __file__, str(dies_at)], check=False)  # noqa: S603 - itself
        with sqlite3.connect("orders.db") as database:
            ((stored, different),) = database.execute("SELECT count(*), count(DISTINCT id) FROM orders")
        database.close()
        print(
            f"{'killed' if done.returncode else 'done'}: {stored} orders stored, {stored - different} twice"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        flow()
    else:
        main()
