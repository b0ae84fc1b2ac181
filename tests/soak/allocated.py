"""What the C library has given away and not got back: larger objects of Python, and all of its libraries.

What it has got back it keeps for later, in holes between what is still in use, and so does Python with tuples
and other small objects. Neither is a leak: both are told to give back what nobody uses before it is looked
what there is.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

__all__ = ("allocated", "give_back")


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2``, of glibc 2.33 and later."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def allocated() -> int:
    """Bytes; 0 where the C library does not tell."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return 0
    ask.restype = _Mallinfo
    told = ask()
    return int(told.uordblks + told.hblkhd)


def give_back() -> None:
    """Have Python, and the C library where it can, give back what nobody uses."""
    gc.collect()  # It empties what is kept for new objects of a sort, too.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
