"""All workloads, in the order of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .w1 import W1, W1F
from .w1a import W1A
from .w1s import W1S
from .w2 import W2, W2S
from .w3 import W3
from .w4_keyed import W4_KEYED
from .w4_merge import W4_MERGE
from .w4_out import W4_OUT
from .w5 import W5
from .w6 import W6
from .w7 import W7
from .w8 import W8
from .w9 import W9
from .workload import OURS, Contestant, Workload

WORKLOADS: Final = (W1, W1F, W1A, W1S, W2, *W2S, *W3, *W4_OUT, W4_MERGE, W4_KEYED, *W5, W6, *W7, W8, *W9)


def named(name: str) -> Workload:
    """The workload of a name."""
    return next(each for each in WORKLOADS if each.name == name)


def chosen(only: Sequence[str]) -> list[tuple[Workload, list[Contestant]]]:
    """What ``--only`` asks for: ``W4`` and its variants, or ``W1/ours`` and such.

    Raises:
        ValueError: There is no such workload, or no such contestant.
    """
    picked: dict[str, dict[str, Contestant]] = {}
    for wanted in only or [each.name for each in WORKLOADS]:
        name, _, contestant = wanted.partition("/")
        found = [
            (workload, each)
            for workload in WORKLOADS
            if workload.name == name or workload.name.startswith(f"{name}-")
            for each in workload.contestants
            if contestant in ("", each.name)
        ]
        if not found:
            raise ValueError(
                f"{wanted!r} is none: write a workload ({', '.join(each.name for each in WORKLOADS)}), "
                f"or one and a contestant, as W1/{OURS}"
            )
        for workload, each in found:
            picked.setdefault(workload.name, {})[each.name] = each
    return [(each, list(picked[each.name].values())) for each in WORKLOADS if each.name in picked]
