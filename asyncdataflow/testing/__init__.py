"""Tests of flows that see more than one order of events: seeds, virtual time, faults."""

from __future__ import annotations

from .virtual_loop import VirtualLoop as VirtualLoop
from .virtual_loop import run_virtual as run_virtual

__all__ = ("VirtualLoop", "run_virtual")
