"""JetStreamSource: the messages of a stream, by a durable consumer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from ...abc import AckableSource, Positions
from ...errors import ConnectorSetupError
from ...policy import Retry
from ..checks import AT_ONCE, refuse_unless_counted_retry, refuse_unless_seconds, refuse_unless_whole
from .client import Servers, subject_of
from .codec import Decode, decoder
from .session import Session, Terms

__all__ = ("JetStreamSource",)


class JetStreamSource(AckableSource[Any]):
    """The messages of a JetStream stream, pulled by a durable consumer, which is made if there is none.

    Any number of sources, in any number of processes, may share one durable consumer: each message
    goes to one of them. What is not acked comes again: after a nack before anything new, after
    a killed consumer when ``ack_wait`` has passed. A message that takes longer is kept from that by
    heartbeats, for as long as its session lives.

    Its messages have their headers, so that an instrument goes on with a trace that is in them.

    At least once. When the connection was lost, the client connects again, and what was delivered
    before counts as another session's: answers to it are ignored, and it comes again when ``ack_wait``
    has passed. At most ``max_unacked`` messages and those fetched ahead come twice so; a warning
    says how many.
    A server that is killed may give some again whose acks it had confirmed: it writes down how far a
    consumer is only now and then. nats-server 2.9.10 was seen to begin anew with the whole stream, once in
    some two hundred kills: a sink that stores by key, or by identities, has each once all the same.

    Args:
        servers: An address, ``nats://host:port``, or several of one cluster. It is not shown in
            representations, errors or logs.
        stream: The stream's name; it has to be there.
        durable: The consumer's name. The server keeps under it how far it is done.
        subject: Only messages of this subject, which may have wildcards; ``None``: all. It counts
            when the consumer is made.
        decode: How a payload becomes an item: ``"json"``, ``"bytes"`` (as it is), or a function, which
            runs on the loop. With ``"bytes"`` a stage can decode, with its own error policy.
        bad: What is done with a payload that cannot be decoded: ``"fail"`` raises, ``"skip"`` logs it
            and tells the server never to deliver it again.
        follow: Wait for new messages when there are none; else end then. What is being worked on
            is not waited for.
        fetch: Most messages pulled at once.
        max_unacked: Most messages given and not yet answered.
        ack_wait: Seconds after which the server gives what was not answered to somebody else; an
            existing consumer keeps its own.
        redeliver: How often a message is delivered in all, and after which waits one that was nacked
            comes again; by default at once and without end. How often counts when the consumer is made;
            behind that a message stays in the stream and does not come any more. The server knows
            no ``max_elapsed`` and no ``on``.
        confirm: An ack is done when the server has confirmed it, not when it was sent. Without it,
            acks are cheaper, and a few more messages come twice after a server was killed.
        reconnect: Seconds for which a lost connection is tried again before the run fails.
        domain: JetStream's domain, where there is one.
        options: More for the client: ``{"tls": …}``, ``{"user_credentials": …}`` and the like.

    Raises:
        MissingExtraError: nats-py is not installed.
        ValueError: An option has no sense.

    An open session raises:

    - ``ConnectionLostError``: no server can be reached, or not any more;
    - ``ConnectorSetupError``: the stream is not there, or the consumer is none that is pulled and answered;
    - ``BadMessageError``: a payload cannot be decoded, and ``bad`` is ``"fail"``.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        stream: str,
        *,
        durable: str,
        subject: str | None = None,
        decode: Decode = "json",
        bad: Literal["fail", "skip"] = "fail",
        follow: bool = True,
        fetch: int = 100,
        max_unacked: int = 1000,
        ack_wait: float = 30.0,
        redeliver: Retry = AT_ONCE,
        confirm: bool = True,
        reconnect: float = 60.0,
        domain: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._what = what = f"JetStreamSource({stream!r})"
        _refuse_bad_names(what, stream=stream, durable=durable)
        _refuse_bad_numbers(what, fetch=fetch, max_unacked=max_unacked)
        refuse_unless_seconds(f"{what}: ack_wait=", ack_wait)
        refuse_unless_counted_retry(f"{what}: redeliver=", redeliver)
        if bad not in {"fail", "skip"}:
            raise ValueError(f"{what}: bad= is 'fail' or 'skip', not {bad!r}")
        self._servers = Servers(servers, options, reconnect, what)
        self.max_unacked = max_unacked
        self._terms = Terms(
            what=what,
            stream=stream,
            durable=durable,
            subject=None if subject is None else subject_of(what, "subject", subject, wildcards=True),
            decode=decoder(what, decode),
            skips=bad == "skip",
            follow=follow,
            fetch=min(fetch, max_unacked),
            ack_wait=ack_wait,
            redeliver=redeliver,
            confirm=confirm,
            domain=domain,
        )

    def __repr__(self) -> str:
        return self._what

    @asynccontextmanager
    async def open(self, after: Positions | None = None) -> AsyncIterator[Session]:
        """Enter to connect, and to make the consumer; leave to give back what was not acked.

        Raises:
            ConnectionLostError: No server can be reached.
            ConnectorSetupError: The stream or the consumer is not as it has to be, or it was given
                positions: the server keeps them.
        """
        if after:
            raise ConnectorSetupError(
                f"{self._what}: the server keeps how far it is done, so that a sink cannot: "
                "a sink with key= makes writing a message again harmless"
            )
        async with self._servers.connected() as line:
            session = Session(line, self._terms)
            try:
                await session.begin()
                yield session
            finally:
                await session.leave()


def _refuse_bad_names(what: str, **given: str) -> None:
    for option, name in given.items():
        if "." in subject_of(what, option, name):
            raise ValueError(f"{what}: {option}= is a name without dots, not {name!r}")


def _refuse_bad_numbers(what: str, **given: int) -> None:
    for option, number in given.items():
        refuse_unless_whole(f"{what}: {option}=", number)
