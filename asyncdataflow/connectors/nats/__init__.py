"""NATS JetStream: a stream as a source whose messages are acked, and as a sink."""

from ..scheme import End, Scheme
from .sink import JetStreamSink
from .source import JetStreamSource

__all__ = ("SCHEME", "JetStreamSink", "JetStreamSource")

SCHEME = Scheme(source=End(JetStreamSource, "stream"), sink=End(JetStreamSink, "subject"))
