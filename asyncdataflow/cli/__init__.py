"""The command ``asyncdataflow``; ``python -m asyncdataflow`` is the same.

One command a file. ``main`` knows their names, and loads the one that is asked for.
"""

from __future__ import annotations

__all__ = ()
