"""Conformance kits: whether a channel, source, sink or engine keeps to what a run relies on.

Each kit tries all of its rules on a part that somebody else may have written, and raises one
``BrokenRuleError`` for all that are broken, each with its number, its sentence and what was
seen. ``RS 1.7`` is a rule of the Reactive Streams specification, 1.0.4, where one applies: a
run is a publisher, and so is a source. Elsewhere a letter says what a rule is about, and its
number is this project's own:

- A: channels and backpressure;
- B: stages and items;
- C: life, cancellation and closing;
- D: errors;
- E: delivery;
- F: draining and stopping;
- G: definitions and what they come to;
- H: figures.

All of them are plain functions that run loops of their own; call them from plain tests.
"""

from __future__ import annotations

from .ackable_source import check_ackable_source as check_ackable_source
from .channel import check_channel as check_channel
from .engine import check_engine as check_engine
from .rules import Rule as Rule
from .sink import check_sink as check_sink
from .source import check_source as check_source

__all__ = ("Rule", "check_ackable_source", "check_channel", "check_engine", "check_sink", "check_source")
