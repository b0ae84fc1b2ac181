"""An environment for each peer, with the peer pinned; ours is the environment of the script itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from .parent import ROOT, Package

OURS: Final = "asyncdataflow"

PINNED: Final = {"pypeln": "0.4.9", "aiostream": "0.8.1", "streamz": "0.6.6", "streamable": "2.0.0"}
"""The peers, as compared in November 2026."""

LOOKS_WITH: Final = "psutil==7.2.2"
"""What the child looks for leaks with, in every environment."""

PLACE: Final = ROOT / "benchmarks" / ".environments"


def ours() -> Package:
    """The package of the checkout, in this interpreter's environment."""
    return Package(OURS, f"torture.peers.{OURS}_flow", sys.executable)


def peer(name: str) -> Package:
    """A peer in its environment, which is made where it is not there yet.

    Raises:
        subprocess.CalledProcessError: It cannot be made, as without a network.
    """
    # The interpreter is part of the name: an environment of another CPython is another environment.
    place = PLACE / f"{name}-{PINNED[name]}-{sys.implementation.cache_tag}"
    python = place / "bin" / "python"
    if not (place / ".made").exists():
        quietly(sys.executable, "-m", "venv", "--clear", str(place))
        pinned = (f"{name}=={PINNED[name]}", LOOKS_WITH)
        quietly(str(python), "-m", "pip", "install", "--disable-pip-version-check", *pinned)
        Path(place / ".made").touch()
    return Package(name, f"torture.peers.{name}_flow", str(python))


def quietly(*command: str) -> None:
    """Run a command whose output matters only where it fails."""
    subprocess.run(command, check=True, capture_output=True, text=True)
