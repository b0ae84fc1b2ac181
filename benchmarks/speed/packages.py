"""The interpreter of each contestant: ours runs in this one, a peer in an environment with it pinned."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Final

from torture import environments

from .workload import Contestant

SHARES_OUR_NAME: Final = "async-data-flow"
"""A peer of this table alone, with our import name."""

ITS_VERSION: Final = "0.0.1"


@functools.cache
def of_package(name: str) -> str:
    """The interpreter of a peer's environment, which is made where it is not there yet.

    Raises:
        subprocess.CalledProcessError: It cannot be made, as without a network.
    """
    if name != SHARES_OUR_NAME:
        return environments.peer(name).python
    place = environments.PLACE / f"{name}-{ITS_VERSION}-{sys.implementation.cache_tag}"
    python = place / "bin" / "python"
    if not (place / ".made").exists():
        environments.quietly(sys.executable, "-m", "venv", "--clear", str(place))
        install = ("-m", "pip", "install", "--disable-pip-version-check", f"{name}=={ITS_VERSION}")
        environments.quietly(str(python), *install)
        (place / ".made").touch()
    return str(python)


def interpreter(contestant: Contestant) -> str:
    """The Python that has what a contestant needs."""
    return of_package(contestant.package) if contestant.package else sys.executable


def why_not(contestant: Contestant) -> str:
    """Why a contestant cannot run; empty where it can."""
    try:
        interpreter(contestant)
    except subprocess.CalledProcessError as error:
        return f"its environment cannot be made: {(error.stderr.strip().splitlines() or ['?'])[-1]}"
    return ""
