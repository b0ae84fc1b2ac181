"""Push: a run that is given items one by one, by whoever wants to know what comes of each.

``flow.open()`` gives an :class:`~asyncdataflow.push.open_run.OpenRun`, whose ``call`` takes an item
and returns its results. ``inbox`` is the source of such a run, ``told`` is its graph.
"""

from __future__ import annotations

from .open_run import OpenRun as OpenRun

__all__ = ("OpenRun",)
