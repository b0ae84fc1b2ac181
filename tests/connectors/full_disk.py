"""A disk of a few hundred kilobytes, for tests that fill it; skipped where none can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

__all__ = ("small_disk",)


@contextmanager
def small_disk(folder, size="512k"):
    """Mount a file system of this size over a new folder, and unmount it again."""
    place = folder / "small disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here: run as root, or with CAP_SYS_ADMIN")
    before = os.getcwd()
    try:
        os.chdir(place)
        yield place
    finally:
        os.chdir(before)
        subprocess.run(["umount", str(place)], check=True)
