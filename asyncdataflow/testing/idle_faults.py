"""Idle faults: those that could not come in any run, so that a test with them tests nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from ..naming import nearest
from .faults import Faults

__all__ = ("refuse_idle",)

_PLACES: Final[Mapping[str, str]] = MappingProxyType({
    "slow": "an await in a stage, or a call in a thread or process",
    "raises": "a call of a stage's function",
    "cancelled": "an await in a stage",
    "dies": "a stage with executor='process'",
    "refuses": "a sink that gets an item",
    "late": "a sink that has taken an item",
    "ends_early": "a source",
    "reconnects": "a source that has given an item, and whose positions no sink keeps",
    "redelivers": "a source that has given an item, and whose positions no sink keeps",
})  # fmt: skip
"""Where each may come; those that are not here come in any run."""


def refuse_idle(faults: Faults, stages: Collection[str], places: Collection[str]) -> None:
    """Called behind the runs: a stage may run further flows, and only they know their stages.

    Args:
        faults: What was asked for.
        stages: Names of the stages of all flows that ran.
        places: The kinds of faults for which there was a place in any of them.

    Raises:
        ValueError: A name is no stage's, or for no kind there was a place.
    """
    if not stages:
        return
    for name in faults.only:
        if name not in stages:
            raise ValueError(
                f"Faults(only={faults.only!r}): no flow that ran has a stage {name!r}, which "
                f"tests nothing; there are {', '.join(stages)}{nearest(name, stages)}"
            )
    asked = faults.asked
    if asked and not set(asked) & set(places):
        among = f" among {', '.join(faults.only)}" if faults.only else ""
        raise ValueError(
            f"{faults!r}: there was no place where this could come, and nothing is tested; "
            f"what is needed{among}: {_needed(asked)}"
        )


def _needed(kinds: Iterable[str]) -> str:
    return "; ".join(f"for {kind}= {_PLACES[kind]}" for kind in kinds)
