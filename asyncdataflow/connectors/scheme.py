"""How a connector is written in text: ``scheme:target?option=value``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ("End", "Scheme")


@dataclass(frozen=True, slots=True)
class End:
    """A source or sink that can be written as text.

    Attributes:
        make: Its class, or a function that makes one.
        target: The parameter of ``make`` that is written behind the scheme. All others are options.
    """

    make: Callable[..., Any]
    target: str


@dataclass(frozen=True, slots=True)
class Scheme:
    """What stands under a name in the entry-point group ``asyncdataflow.connectors``.

    The name is the scheme. Options are known, converted from text and told to users by the
    signature of ``make`` and its annotations; nothing has to be written down twice.

    Attributes:
        source: What the scheme means in a first step, if anything.
        sink: What it means anywhere else.

    Example:
        >>> from asyncdataflow.connectors.json_lines import JsonLinesSink, JsonLinesSource
        >>> from asyncdataflow.connectors.scheme import End, Scheme
        >>> scheme = Scheme(source=End(JsonLinesSource, "path"), sink=End(JsonLinesSink, "path"))
    """

    source: End | None = None
    sink: End | None = None
