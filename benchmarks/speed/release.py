"""The last release: the newest tag, or until there is one the commit that ``last_release.txt`` names."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

from .rounds import ROOT

NAMED: Final = ROOT / "benchmarks" / "last_release.txt"


def last() -> str:
    """What git calls it; where this commit itself is tagged, the one before it."""
    tagged = _git("describe", "--tags", "--abbrev=0", "HEAD^", check=False).stdout.decode().strip()
    return tagged or NAMED.read_text(encoding="utf-8").strip()


def checked_out(release: str, places: Path) -> Path:
    """A folder that has the package as it was then.

    Args:
        release: What git calls it.
        places: The folder that has such folders; kept for the next time.

    Raises:
        subprocess.CalledProcessError: git does not know that release, as in a clone without history.
    """
    commit = _git("rev-parse", "--verify", f"{release}^{{commit}}").stdout.decode().strip()
    place = places / f"release-{commit[:12]}"
    if not (place / ".made").exists():
        archive = _git("archive", "--format=tar", commit, "asyncdataflow").stdout
        place.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(place, filter="data")
        (place / ".made").touch()
    return place


def _git(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    command = (shutil.which("git") or "git", "-C", str(ROOT), *arguments)
    return subprocess.run(command, check=check, capture_output=True)
