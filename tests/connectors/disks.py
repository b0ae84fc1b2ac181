"""Disks that are small, and disks that fail; a test is skipped where there can be none."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

__all__ = ("failing_fsync", "small_disk")


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


def failing_fsync(when):
    """The beginning of a command whose calls of ``fsync`` fail, from the ones that strace's ``when`` says."""
    probe = ["strace", "-o", os.devnull, "true"]
    if shutil.which("strace") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("strace cannot be used here: apt-get install strace, and allow ptrace")
    return ["strace", "-f", "-o", os.devnull, "-e", f"inject=fsync,fdatasync:error=EIO:when={when}"]
