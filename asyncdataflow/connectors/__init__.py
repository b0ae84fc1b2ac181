"""Connectors: sources and sinks for outside systems, one system per module; none is imported by itself."""

from __future__ import annotations

__all__ = ()
