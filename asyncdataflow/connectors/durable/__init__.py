"""Durable: a bounded queue on the disk, which is a sink at one end and an answered source at the other."""

from __future__ import annotations

from .codec import Codec as Codec
from .codec import JsonCodec as JsonCodec
from .ends import Durable as Durable

__all__ = ("Codec", "Durable", "JsonCodec")
