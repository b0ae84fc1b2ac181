"""The published package, asked over a pipe: a line of JSON in, a line of JSON out.

Run by the Python of an environment that has async-data-flow 0.0.1 and not this package.
The first line out says which package it has; the end of input ends it.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import sys
from types import SimpleNamespace

import asyncdataflow.exceptions
from described_functions import answer  # the script's own folder is on the path

import asyncdataflow


def main() -> None:
    """Answer until the input ends."""
    logging.disable()  # it leaves failed tasks unwatched, which asyncio then reports
    api = SimpleNamespace(
        DataFlow=asyncdataflow.DataFlow,
        amapper=asyncdataflow.amapper,
        fdispatch=asyncdataflow.fdispatch,
        exceptions=asyncdataflow.exceptions,
    )
    out = sys.stdout
    version = importlib.metadata.version("async-data-flow")
    print(json.dumps({"version": version, "file": asyncdataflow.__file__}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(api, json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
