"""Runs as the tools see them that watch services; each module needs an extra of its own."""

from __future__ import annotations

__all__ = ()
