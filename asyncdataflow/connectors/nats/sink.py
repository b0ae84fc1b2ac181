"""JetStreamSink: items published to a stream, each confirmed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ...abc import Sink
from ..checks import refuse_unless_seconds, refuse_unless_whole
from ..intake import apart
from .client import Servers, subject_of
from .codec import Encode, encoder
from .publishing import Publishing, Way

__all__ = ("JetStreamSink",)


class JetStreamSink(Sink[Any]):
    """Publishes items to a JetStream stream; an item is written when the server has stored it.

    With ``key`` each message has an identity (``Nats-Msg-Id``), by which the server leaves out what it
    has already: the effect is ``"idempotent"``. That holds within the stream's window for duplicates
    (``duplicate_window``, two minutes where it was not set): an item that is written again later than
    that, after a long stop for instance, is there twice. Without ``key``, an item whose confirmation was
    lost raises ``UncertainWriteError``.

    A chunk is sent at once and in order, but it is no transaction: where the server takes one item and
    not the other, the first is there. What is retried comes behind what was taken; where order matters
    more than speed, ``chunk=1`` keeps it.

    A full stream (one that discards new messages) is waited for, with growing pauses.

    Args:
        servers: An address, ``nats://host:port``, or several of one cluster. It is not shown in
            representations, errors or logs.
        subject: Where to, or a function of the item that says so. A stream has to take it.
        key: A function of the item that gives its identity, a text; ``None``: it has none.
        encode: How an item becomes a payload: ``"json"``, ``"bytes"`` (it is bytes), or a function. It and
            the other functions run on the loop.
        headers: A function of the item that gives headers, text to text. What an instrument follows the
            item by (``traceparent``) goes with them, where they do not name it themselves.
        chunk: Most items that are sent before the first is confirmed.
        full_wait: Seconds for which a full stream is waited for.
        reconnect: Seconds for which a lost connection, or a stream that is not there, is tried again.
        domain: JetStream's domain, where there is one.
        options: More for the client: ``{"tls": …}``, ``{"user_credentials": …}`` and the like.

    Raises:
        MissingExtraError: nats-py is not installed.
        ValueError: An option has no sense.

    A write raises:

    - ``RejectedItemError``: an item cannot be encoded, or is too large; nothing of the chunk was sent;
    - ``DestinationFullError``: the stream stayed full;
    - ``ConnectionLostError``: the server cannot be reached; what is not confirmed is not there;
    - ``UncertainWriteError``: nobody can tell whether what is not confirmed is there;
    - ``ConnectorSetupError``: no stream takes the subject, or it may not be published to.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        subject: str | Callable[[Any], str],
        *,
        key: Callable[[Any], str] | None = None,
        encode: Encode = "json",
        headers: Callable[[Any], Mapping[str, str]] | None = None,
        chunk: int = 100,
        full_wait: float = 60.0,
        reconnect: float = 60.0,
        domain: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        told = "…" if callable(subject) else subject
        self._what = what = f"JetStreamSink({told!r})"
        if not callable(subject):
            subject_of(what, "subject", subject)
        for option, function in (("key", key), ("headers", headers)):
            if function is not None and not callable(function):
                raise ValueError(f"{what}: {option}= is a function of the item, not {function!r}")
        refuse_unless_whole(f"{what}: chunk=", chunk)
        refuse_unless_seconds(f"{what}: full_wait=", full_wait or 1)
        self.chunk = chunk
        self.effect = "plain" if key is None else "idempotent"
        self._servers = Servers(servers, options, reconnect, what)
        self._way = Way(what, subject, key, encoder(what, encode), headers, full_wait, reconnect, domain)

    def __repr__(self) -> str:
        return self._what

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Callable[[Any], Awaitable[None]]]:
        """Enter to connect and get the function that publishes; leave to disconnect.

        Raises:
            ConnectionLostError: No server can be reached.
        """
        async with self._servers.connected() as line:
            publishing = Publishing(line, self._way)

            async def write(given: Any) -> None:
                await apart(publishing.write([given] if self.chunk == 1 else given))

            yield write
