"""The memory of this process: what it holds, and the most that it has held."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")

FORGET: Final = Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Let the peak begin anew, with no free memory in reserve that would hide it; where the system can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        FORGET.write_text("5")


def peak() -> int:
    """The most bytes of memory that were in use since then, or since the process began."""
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
