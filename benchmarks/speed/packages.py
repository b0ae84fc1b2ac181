"""The interpreter of each contestant: ours runs in this one, a peer in an environment with it pinned."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Final

from torture import environments

from .workload import Contestant

SHARES_OUR_NAME: Final = "async-data-flow"
"""A peer with our import name: only its own environment may be on its path."""

PINNED: Final = {
    SHARES_OUR_NAME: "0.0.1",
    "aioreactive": "0.20.0",
    "anyio": "4.16.0",
    "apache-beam": "2.77.0",
    "bytewax": "0.21.1",
    "dask": "2026.8.0",
    "faststream": "0.7.8",
    "mpservice": "0.16.8",
    "ray": "2.60.0",
    "reactivex": "4.1.0",
    "spdl": "0.8.0",
}
"""The peers of this table alone, as compared in November 2026; the torture table pins the others."""

BESIDE: Final = {"dask": ("distributed==2026.8.0",), "faststream": ("nats-py==2.16.0",)}
"""What a peer needs beside it."""


@functools.cache
def of_package(name: str) -> str:
    """The interpreter of a peer's environment, which is made where it is not there yet.

    Raises:
        subprocess.CalledProcessError: It cannot be made, as without a network.
    """
    if name not in PINNED:
        return environments.peer(name).python
    version = PINNED[name]
    place = environments.PLACE / f"{name}-{version}-{sys.implementation.cache_tag}"
    python = place / "bin" / "python"
    if not (place / ".made").exists():
        environments.quietly(sys.executable, "-m", "venv", "--clear", str(place))
        wanted = (f"{name}=={version}", *BESIDE.get(name, ()))
        environments.quietly(str(python), "-m", "pip", "install", "--disable-pip-version-check", *wanted)
        (place / ".made").touch()
    return str(python)


def interpreter(contestant: Contestant) -> str:
    """The Python that has what a contestant needs."""
    return of_package(contestant.package) if contestant.package else sys.executable


@functools.cache
def _why_not(package: str) -> str:
    try:
        of_package(package)
    except subprocess.CalledProcessError as error:
        return f"its environment cannot be made: {(error.stderr.strip().splitlines() or ['?'])[-1]}"
    return ""


def why_not(contestant: Contestant) -> str:
    """Why a contestant cannot run; empty where it can. An environment is tried once."""
    return _why_not(contestant.package) if contestant.package else ""
