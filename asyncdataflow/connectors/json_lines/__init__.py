"""Files of JSON lines: one item a line, in UTF-8, each line ended by a line feed."""

from __future__ import annotations

from ..scheme import End, Scheme
from .sink import JsonLinesSink as JsonLinesSink
from .source import JsonLinesSource as JsonLinesSource

__all__ = ("SCHEME", "JsonLinesSink", "JsonLinesSource")

SCHEME = Scheme(source=End(JsonLinesSource, "path"), sink=End(JsonLinesSink, "path"))
