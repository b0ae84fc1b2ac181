"""NATS JetStream: a stream as a source whose messages are acked, and as a sink."""

from .sink import JetStreamSink
from .source import JetStreamSource

__all__ = ("JetStreamSink", "JetStreamSource")
