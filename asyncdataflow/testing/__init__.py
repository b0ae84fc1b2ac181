"""Tests of flows that see more than one order of events: seeds, virtual time, faults.

``simulate`` and ``sweep`` run a flow under many orders of events and with faults, on
virtual time, and check what has to hold of every run. ``docs/testing.md`` begins at the
beginning.
"""

from __future__ import annotations

from .collect_sink import CollectSink as CollectSink
from .conformance import check_ackable_source as check_ackable_source
from .conformance import check_channel as check_channel
from .conformance import check_engine as check_engine
from .conformance import check_sink as check_sink
from .conformance import check_source as check_source
from .faults import Faults as Faults
from .feed_source import FeedSource as FeedSource
from .report import Failure as Failure
from .report import Report as Report
from .run_flow import run_flow as run_flow
from .simulate import simulate as simulate
from .simulated_loop import SimulatedLoop as SimulatedLoop
from .sweep import sweep as sweep
from .virtual_clock import VirtualClock as VirtualClock
from .virtual_clock import run_virtual as run_virtual
from .virtual_loop import VirtualLoop as VirtualLoop

__all__ = (
    "CollectSink",
    "Failure",
    "Faults",
    "FeedSource",
    "Report",
    "SimulatedLoop",
    "VirtualClock",
    "VirtualLoop",
    "check_ackable_source",
    "check_channel",
    "check_engine",
    "check_sink",
    "check_source",
    "run_flow",
    "run_virtual",
    "simulate",
    "sweep",
)
