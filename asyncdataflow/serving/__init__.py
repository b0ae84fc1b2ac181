"""A flow as a service: signals, deadlines, sources that come back, and a word to systemd."""

from __future__ import annotations

from .serve import serve as serve
from .served import Served as Served

__all__ = ("Served", "serve")
