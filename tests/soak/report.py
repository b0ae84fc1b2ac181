"""What a soak came to, as Markdown, and as JSON."""

from __future__ import annotations

import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.chaos.delivery.verdict import Verdict

from .sample import Sample
from .service import Life, Service
from .soak import Soak
from .trend import trend

__all__ = ("MONTH", "SMALL", "figures", "long_life", "markdown", "verdicts")

MONTH = 30 * 24 * 3600.0
"""Seconds."""
SMALL = {"blocks": 0.005, "allocated": 1.0, "parent": 4.0, "worker": 4.0}
"""Slopes below which nothing is left behind: blocks an item, and bytes an item.

The least that Python can keep is one block, or sixteen bytes. Of a hundred items three are tried again, and
ten thousand see two strikes. So it is seen what each item leaves behind, or each further attempt, or twenty
objects or so that each strike does. Below that is what caches and histograms that fill ever slower come to
in half an hour, and the highest marks of the allocator.
"""
_MAY_COME_LATE = {"threads": 1}
"""The second thread of a stage of two starts when both are wanted at once, which a short run may see late."""
_WARM_UP = 0.2
_LONGEST_WARM_UP = 300.0
_SHORTEST = 300.0
"""Seconds behind that, of which anything can be said: caches are being filled for minutes."""

_FIGURES: dict[str, Callable[[Sample], float]] = {
    "parent": lambda sample: sample.rss,
    "allocated": lambda sample: sample.allocated,
    "blocks": lambda sample: sample.blocks,
}


def long_life(service: Service) -> Life:
    """That of the most samples."""
    return max(service.lives, key=lambda life: len(life.samples))


def warm(samples: Sequence[Sample]) -> list[Sample]:
    """Those behind the first fifth, or five minutes; while it drains no more."""
    begin = samples[0].at + min(_WARM_UP * (samples[-1].at - samples[0].at), _LONGEST_WARM_UP)
    return [each for each in samples if each.at >= begin and each.state == "running"]


def verdicts(seen: Soak) -> list[dict[str, Any]]:
    """Of each steady service: how fast what grows, and whether that is zero."""
    return [row for service in seen.steady for row in _of_service(service)]


def _of_service(service: Service) -> Iterator[dict[str, Any]]:
    samples = warm(long_life(service).samples)
    if not samples:
        return
    rate = (samples[-1].items - samples[0].items) / max(samples[-1].at - samples[0].at, 1e-9)
    for name, figure in _FIGURES.items():
        yield _row(service, name, rate, samples, figure)
    for worker in _constant_workers(samples):
        yield _row(service, "worker", rate, samples, lambda sample, worker=worker: sample.workers[worker])


def _constant_workers(samples: Sequence[Sample]) -> list[int]:
    """The largest of its processes, where none was ever replaced."""
    always = set.intersection(*(set(each.workers) for each in samples))
    if any(set(each.workers) != always for each in samples):
        return []
    return sorted(always, key=lambda each: samples[-1].workers[each])[-1:]


def _row(
    service: Service, name: str, rate: float, samples: Sequence[Sample], figure: Callable[[Sample], float]
) -> dict[str, Any]:
    found, later = (
        trend([each.at for each in part], [figure(each) for each in part])
        for part in (samples, samples[len(samples) // 2 :])
    )
    row: dict[str, Any] = {"service": service.name, "figure": name, "rate": rate, "samples": len(samples)}
    row["seconds"] = samples[-1].at - samples[0].at
    if found is None or later is None or row["seconds"] < _SHORTEST or rate <= 0:
        return row | {"zero": None}
    return row | {
        "level": found.level,
        "per_hour": found.slope * 3600,
        "per_item": found.slope / rate,
        "low_per_item": found.low / rate,
        "high_per_item": found.high / rate,
        "later_per_item": later.slope / rate,
        "per_month": found.slope * MONTH,
        "zero": found.is_zero(SMALL[name] * rate),
    }


def standing(service: Service) -> dict[str, tuple[float, float, float]]:
    """Threads, descriptors, processes and tasks: usual and most in the first quarter, usual in the last."""
    samples = warm(long_life(service).samples)
    quarter = max(len(samples) // 4, 1)
    looks: dict[str, Callable[[Sample], float]] = {
        "threads": lambda sample: sample.threads,
        "descriptors": lambda sample: sample.files,
        "processes": lambda sample: 1 + len(sample.workers),
        "tasks": lambda sample: sample.tasks,
    }
    return {
        name: (
            statistics.median(map(look, samples[:quarter])),
            max(map(look, samples[:quarter])),
            statistics.median(map(look, samples[-quarter:])),
        )
        for name, look in looks.items()
        if samples
    }


def faults(seen: Soak) -> list[str]:
    """All that is wrong."""
    said = list(seen.faults)
    said += [
        f"{row['service']}: {row['figure']} grows by {row['per_item']:.3g} an item"
        for row in verdicts(seen)
        if row["zero"] is False
    ]
    for service in seen.steady:
        if len(service.lives) > 1:
            said.append(f"{service.name} did not live through it")
        said += [
            f"{service.name}: {name} were {most:g} at most, and are usually {after:g}"
            for name, (_, most, after) in standing(service).items()
            if after > most + _MAY_COME_LATE.get(name, 0)
        ]
    return said


def figures(seen: Soak) -> dict[str, Any]:
    """All of it, for JSON."""
    return {
        "terms": vars(seen.terms),
        "seconds": seen.seconds,
        "strikes": dict(seen.strikes.done),
        "verdicts": {name: vars(each) for name, each in seen.verdicts.items()},
        "trends": verdicts(seen),
        "standing": {each.name: standing(each) for each in seen.steady},
        "ends": {each.name: each.ends for each in seen.services},
        "faults": faults(seen),
        "samples": {
            each.name: [
                [round(of.at, 2), of.items, of.rss, of.tree, of.blocks, of.allocated, of.files, of.tasks]
                for of in long_life(each).samples
            ]
            for each in seen.steady
        },
    }


def markdown(seen: Soak, command: str) -> str:
    """The report."""
    load = f"{seen.terms.rate:g} items a second into each of {len(seen.services)} services"
    lines = [
        f"`{command}`, CPython {platform.python_version()}, {sys.platform}, {seen.seconds:.0f} s, {load}",
        "",
        "| service | lives | items | lost | duplicated | strange | samples | of which not balanced |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(_verdict_row(seen, each) for each in seen.services),
        "",
        "| what is left alone | figure | level | an hour | an item | 95 % | last half | small | zero |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
        *map(_trend_row, verdicts(seen)),
        "",
        "| what is left alone | threads | descriptors | processes | tasks |",
        "|---|---:|---:|---:|---:|",
        *map(_standing_row, seen.steady),
        "",
        "| what happened | times |",
        "|---|---:|",
        *(f"| {what} | {times} |" for what, times in sorted(seen.strikes.done.items())),
    ]
    wrong = faults(seen)
    return "\n".join([*lines, "", f"{len(wrong)} faults", *(f"- {each}" for each in wrong)])


def _verdict_row(seen: Soak, service: Service) -> str:
    verdict = seen.verdicts.get(service.name, Verdict(0, 0, 0, 0))
    samples = sum(len(each.samples) for each in service.lives)
    counts = (verdict.items, verdict.lost, verdict.duplicated, verdict.strange, samples, service.unbalanced)
    return f"| {service.name} | {len(service.lives)} | " + " | ".join(map(str, counts)) + " |"


def _trend_row(row: dict[str, Any]) -> str:
    if row["zero"] is None:
        return f"| {row['service']} | {row['figure']} | | | | | | | too short to say |"
    unit, scale = ("blocks", 1.0) if row["figure"] == "blocks" else ("kB", 1e3)
    cells = (
        row["service"],
        row["figure"],
        f"{row['level'] / scale:.0f} {unit}",
        f"{row['per_hour'] / scale:+.1f} {unit}",
        f"{row['per_item']:+.4f}",
        f"{row['low_per_item']:+.4f} to {row['high_per_item']:+.4f}",
        f"{row['later_per_item']:+.4f}",
        f"{SMALL[row['figure']]:g}",
        "yes" if row["zero"] else "NO",
    )
    return f"| {' | '.join(cells)} |"


def _standing_row(service: Service) -> str:
    found = standing(service).values()
    told = [f"{before:g} (at most {most:g}), {after:g}" for before, most, after in found]
    return f"| {service.name} | " + " | ".join(told) + " |"
