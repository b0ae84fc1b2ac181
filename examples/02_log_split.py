"""Split a log into what parses and what does not, treat each its own way, and merge again.

As a picture::

    lines ──> parse ──> route ──┬──> good: measure ──┬──> merge ──> results
                                └──> bad: excerpt ───┘

Run it with the path of an access log, or without one: then it reads a few lines of its own.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asyncdataflow import DataFlow, merge, route

SAMPLE = r"""10.0.0.1 - - [17/May/2026:10:05:03 +0000] "GET /index.html HTTP/1.1" 200 2326 "-" "curl/8"
10.0.0.2 - - [17/May/2026:10:05:04 +0000] "GET /a\"b HTTP/1.1" 404 - "-" "says \"hi\""
not a log line at all
10.0.0.1 - - [17/May/2026:10:05:09 +0000] "GET /logo.png HTTP/1.1" 200 512 "-" "curl/8"
"""
LINE = re.compile(r'\S+ \S+ \S+ \[[^]]+\] "(?:[^"\\]|\\.)*" (?P<status>\d{3}) (?P<size>\d+|-)(?:\s|$)')


def lines(path: Path | None) -> Iterator[str]:
    """A generator function as a source runs in a thread: reading may block there."""
    if path is None:
        yield from SAMPLE.splitlines()
    else:
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from file


def parse(line: str) -> dict[str, Any]:
    """Both outcomes are items, so that no line is lost."""
    found = LINE.match(line)
    return {"line": line, "found": found and found.groupdict()}


def measure(parsed: dict[str, Any]) -> tuple[str, int]:
    """The branch of what parses: its status and its bytes, of which ``-`` means none."""
    found = parsed["found"]
    return found["status"], 0 if found["size"] == "-" else int(found["size"])


def excerpt(parsed: dict[str, Any]) -> tuple[str, int]:
    """The branch of what does not: its first words, no bytes."""
    return f"not understood: {parsed['line'][:30].strip()!r}", 0


flow = DataFlow(
    (
        lines,
        parse,
        route(lambda parsed: "good" if parsed["found"] else "bad"),
        {"good": measure, "bad": excerpt},
        merge,
    )
)


def main(path: Path | None) -> None:
    """Results come out as they are ready; ``iterate`` hands them to plain code."""
    hits: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    with flow.iterate({"path": path}) as results:
        for status, size in results:
            hits[status] += 1
            sizes[status] += size
    for status, count in sorted(hits.items()):
        print(f"{status}: {count} lines, {sizes[status]} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, help="an access log in the combined format")
    main(parser.parse_args().path)
