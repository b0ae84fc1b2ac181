"""Ten thousand lines of a real web server: parsed, routed, merged, counted by two sinks, none lost."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from asyncdataflow import DataFlow, merge, route, stage

LOG = os.environ.get("ACCESS_LOG", "")

pytestmark = [
    pytest.mark.skipif(not LOG, reason="ACCESS_LOG does not name a log"),
    # With REQUIRE_SERVICES set, a log that is named and not there fails in `open`.
]

QUOTED = r'"((?:[^"\\]|\\.)*)"'
LINE = re.compile(rf"(\S+) (\S+) (\S+) \[([^]]+)\] {QUOTED} (\d{{3}}) (\d+|-) {QUOTED} {QUOTED}\s*")


class Parsing:
    """The stages, once; each world below has them as its own kind of function."""

    def parse(self, numbered):
        number, line = numbered
        found = LINE.fullmatch(line)
        return number, line, found and (found[6], 0 if found[7] == "-" else int(found[7]))

    def measure(self, parsed):
        number, _, (status, size) = parsed
        return number, status, size

    def blame(self, parsed):
        number, line, _ = parsed
        return number, "bad", len(line)


STAGES = Parsing()


def as_coroutines(counts, sizes):
    async def lines(path):
        with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            for numbered in enumerate(file):
                yield numbered

    async def parse(numbered):
        return STAGES.parse(numbered)

    async def measure(parsed):
        return STAGES.measure(parsed)

    async def blame(parsed):
        return STAGES.blame(parsed)

    async def count(record):
        counts[record[1]] += 1
        return record[0]

    async def weigh(record):
        sizes[record[1]] += record[2]

    return lines, parse, measure, blame, count, weigh


def as_threads(counts, sizes):
    def lines(path):
        with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            yield from enumerate(file)

    def count(record):
        counts[record[1]] += 1
        return record[0]

    def weigh(record):
        sizes[record[1]] += record[2]

    return lines, STAGES.parse, STAGES.measure, STAGES.blame, count, weigh


def flow_of(world, counts, sizes, **options):
    lines, parse, measure, blame, count, weigh = world(counts, sizes)
    return DataFlow(
        (
            lines,
            stage(parse, **options),
            route(lambda parsed: "good" if parsed[2] else "bad"),
            {"good": stage(measure, **options), "bad": blame},
            merge,
            (count, weigh),
        )
    )


def counted_plainly(path):
    """By another way: a line of seven parts between quotes is good; this log escapes none."""
    counts, sizes = Counter(), Counter()
    for line in Path(path).read_bytes().decode("utf-8", "surrogateescape").split("\n")[:-1]:
        parts = line.split('"')
        if len(parts) == 7 and parts[6] == "":
            status, size = parts[2].split()
            counts[status] += 1
            sizes[status] += 0 if size == "-" else int(size)
        else:
            counts["bad"] += 1
            sizes["bad"] += len(line) + 1
    return counts, sizes


ONE = {}
IN_ORDER = {"concurrency": 4, "buffer": 16}
IN_ANY_ORDER = {"concurrency": 4, "ordered": False, "buffer": 1}


@pytest.mark.parametrize(
    ("world", "options"),
    [
        pytest.param(as_coroutines, ONE, id="coroutines"),
        pytest.param(as_coroutines, IN_ORDER, id="coroutines, four in order"),
        pytest.param(as_coroutines, IN_ANY_ORDER, id="coroutines, four in any order"),
        pytest.param(as_threads, ONE, id="threads"),
        pytest.param(as_threads, IN_ANY_ORDER, id="threads, four in any order"),
    ],
)
async def test_every_line_reaches_both_sinks_once(world, options):
    """Invariants 1, 15, 16 and 71 on real input."""
    counts, sizes = Counter(), Counter()
    flow = flow_of(world, counts, sizes, **options)
    async with flow.stream({"path": LOG}) as run:
        numbers = [number async for number in run]
    assert (counts, sizes) == counted_plainly(LOG)
    assert counts["bad"] > 0, "the log is known to have a line that is cut off"
    assert sorted(numbers) == list(range(counts.total()))
    stages = run.stats().stages
    assert stages["measure"].received + stages["blame"].received == counts.total()
    assert stages["count"].received == stages["weigh"].received == counts.total()
    assert all(each.received == each.sent + each.filtered for each in stages.values())
    assert not any(each.in_flight or each.queued for each in stages.values())


def test_the_log_can_be_read_from_plain_code():
    counts, sizes = Counter(), Counter()
    flow = flow_of(as_coroutines, counts, sizes)
    with flow.iterate({"path": LOG}) as results:
        assert sum(1 for _ in results) == Path(LOG).read_bytes().count(b"\n")
