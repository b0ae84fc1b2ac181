"""Session: what one opening of a JetStreamSource holds, keeps alive, gives and answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from ...errors import BadMessageError, ConnectionLostError, ConnectorSetupError
from ...message import Answer, Message
from ...policy import Retry
from ..checks import AT_ONCE
from ..intake import Intake, apart, finish
from .client import Line
from .delivery import Delivery, nak
from .pulling import Pulling

with suppress(ImportError):
    import nats.errors
    import nats.js.errors
    from nats.aio.msg import Msg
    from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo

__all__ = ("Session", "Terms")

_LOG = logging.getLogger(__name__)

_PATIENCE_WITH_AN_ANSWER: Final = 5.0
_MOST_TRIES_OF_AN_ANSWER: Final = 3
_PATIENCE_AT_THE_END: Final = 5.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How a stream is read; the options of :class:`JetStreamSource`, checked."""

    what: str
    stream: str
    durable: str
    subject: str | None
    decode: Callable[[bytes], Any]
    skips: bool
    follow: bool
    fetch: int
    ack_wait: float
    redeliver: Retry
    confirm: bool
    domain: str | None


class Session:
    """One session: a subscription of messages whose handles are its deliveries."""

    def __init__(self, line: Line, terms: Terms) -> None:
        self._line = line
        self._terms = terms
        self._stream = line.client.jetstream(domain=terms.domain)
        self._pulling: Pulling | None = None
        self._held: dict[int, Delivery] = {}
        self._given: set[Delivery] = set()
        self._intake: Intake[tuple[Delivery, Any]] = Intake(self._fetch)
        self._heartbeats: asyncio.Task[None] | None = None
        self._ack_wait = terms.ack_wait
        self._generation = line.generation
        self._ended = False
        self._left = False

    async def begin(self) -> None:
        """Find or make the consumer, and begin to pull.

        Raises:
            ConnectorSetupError: The stream or the consumer is not as it has to be.
            ConnectionLostError: The server does not answer.
        """
        terms = self._terms
        try:
            consumer = await apart(self._consumer())
        except nats.js.errors.APIError as error:
            raise ConnectorSetupError(f"{terms.what}: {error.description}") from None
        except (nats.errors.Error, TimeoutError) as error:
            raise ConnectionLostError(
                f"{terms.what}: JetStream does not answer: {type(error).__name__}"
            ) from None
        if consumer.config.ack_policy != AckPolicy.EXPLICIT or consumer.config.deliver_subject:
            raise ConnectorSetupError(
                f"{terms.what}: the consumer {terms.durable!r} has to be pulled, and to want an ack for each "
                "message; another name for durable= makes one that does"
            )
        self._ack_wait = consumer.config.ack_wait or terms.ack_wait
        prefix = "$JS.API" if terms.domain is None else f"$JS.{terms.domain}.API"
        self._pulling = Pulling(
            self._line, f"{prefix}.CONSUMER.MSG.NEXT.{terms.stream}.{terms.durable}", terms.what, terms.fetch
        )
        self._line.on_change(self._tell_loss)
        await apart(self._pulling.begin())
        self._heartbeats = asyncio.create_task(self._beating())

    async def _consumer(self) -> ConsumerInfo:
        terms = self._terms
        await self._stream.stream_info(terms.stream)
        try:
            return await self._stream.consumer_info(terms.stream, terms.durable)  # type: ignore[no-any-return]
        except nats.js.errors.NotFoundError:
            # Every session bounds what it holds by itself. A bound of the server's for all that
            # share the consumer would let one that is stuck stop the others.
            made = ConsumerConfig(
                durable_name=terms.durable,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=terms.ack_wait,
                max_deliver=-1 if terms.redeliver.attempts is None else terms.redeliver.attempts,
                max_ack_pending=-1,
                filter_subject=terms.subject,
            )
            consumer: ConsumerInfo = await self._stream.add_consumer(terms.stream, made)
            return consumer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message[Any]:
        """The next message."""
        while not (self._left or self._ended):
            delivery, item = await self._intake.next()
            if self._held.get(delivery.sequence) is delivery:
                self._given.add(delivery)
                return Message(item, handle=delivery, headers=delivery.message.headers or {})
        raise StopAsyncIteration

    async def answer(self, answers: Sequence[Answer]) -> None:
        """Ack what is done, and give back what was nacked."""
        await apart(self._answer(answers))

    async def _answer(self, answers: Sequence[Answer]) -> None:
        mine = [each for each in answers if self._is_mine(each)]
        acked = [each.message.handle for each in mine if each.is_ack]
        nacked = [each.message.handle for each in mine if not each.is_ack]
        await self._ack(acked)
        if nacked:
            await self._nack(nacked, self._terms.redeliver)
            # What lies here was not given yet, and is to come behind what comes again.
            await self._nack([delivery for delivery, _ in self._intake.left()])

    async def leave(self) -> None:
        """Stop, and give back what was not acked."""
        self._left = True
        await finish(asyncio.create_task(self._leaving()))

    def _is_mine(self, answer: Answer) -> bool:
        """Given by this session, since the connection was last lost, and not yet answered."""
        delivery: Any = answer.message.handle
        if self._left or delivery not in self._given:
            _LOG.warning("%s: an answer to a delivery of another session is ignored", self._terms.what)
            return False
        self._given.discard(delivery)
        held = self._held.get(delivery.sequence) is delivery
        if delivery.generation != self._line.generation:
            self._forget(delivery)
            _LOG.debug("%s: an answer to a delivery before a lost connection is ignored", self._terms.what)
            return False
        if not held:
            _LOG.warning("%s: an answer to a delivery that was made again is ignored", self._terms.what)
        return held

    def _tell_loss(self) -> None:
        """One word for all that a lost connection leaves unacked, however many answers are ignored then."""
        lost, self._generation = self._generation, self._line.generation
        left = sum(lost == each.generation != self._generation for each in self._held.values())
        if left:
            _LOG.warning(
                "%s: the connection was lost with %d messages unacked: they come again after %g s, and "
                "answers to them are ignored",
                self._terms.what,
                left,
                self._ack_wait,
            )

    def _forget(self, delivery: Delivery) -> None:
        if self._held.get(delivery.sequence) is delivery:
            del self._held[delivery.sequence]

    async def _ack(self, deliveries: list[Delivery]) -> None:
        if self._terms.confirm:
            await self._confirm(dict.fromkeys(deliveries, Msg.Ack.Ack))
        else:
            for each in deliveries:
                await self._send(each.message, Msg.Ack.Ack)
        for each in deliveries:
            self._forget(each)

    async def _confirm(self, answers: Mapping[Delivery, bytes]) -> None:
        """Tell the server until it confirms; what a lost connection did not confirm comes again."""
        tasks = await self._line.until_lost(self._confirmed(each, told) for each, told in answers.items())
        # Each is asked before one of them is raised: what nobody asks for is told by asyncio.
        for failure in [task.exception() for task in tasks if not task.cancelled()]:
            if failure is not None:
                raise failure
        lost = [
            each for each, task in zip(answers, tasks, strict=True) if task.cancelled() or not task.result()
        ]
        if lost:
            # What is known of the loss by now is told of already.
            told = any(each.generation != self._generation for each in lost)
            level = logging.DEBUG if told else logging.WARNING
            _LOG.log(level, "%s: %d answers were lost with their connection", self._terms.what, len(lost))

    async def _confirmed(self, delivery: Delivery, told: bytes) -> bool:
        """Whether it is; not where the connection was lost."""
        for _ in range(_MOST_TRIES_OF_AN_ANSWER):
            try:
                await self._line.client.request(
                    delivery.message.reply, told, timeout=_PATIENCE_WITH_AN_ANSWER
                )
            except nats.errors.Error:
                if delivery.generation != self._line.generation or not self._line.is_up:
                    return False
            else:
                return True
        raise ConnectionLostError(f"{self._terms.what}: the server does not confirm an answer")

    async def _nack(self, deliveries: list[Delivery], redeliver: Retry = AT_ONCE) -> None:
        """Confirmed, too: the server may look at a later request for messages before an unconfirmed nack."""
        for each in deliveries:
            self._forget(each)
        await self._confirm({each: nak(each, redeliver) for each in deliveries})

    async def _send(self, message: Msg, told: bytes) -> None:
        """What is not received is as if it had not been said: the message comes again."""
        with suppress(nats.errors.Error):
            await self._line.client.publish(message.reply, told)

    async def _fetch(self) -> Sequence[tuple[Delivery, Any]]:
        """The next messages; none only where the stream is not followed."""
        while self._pulling is not None:
            messages = await self._pulling.take(wait=self._terms.follow)
            self._ended = not messages and await self._is_done()
            lot = self._deliveries(messages)
            # One that came again is a new delivery: an answer to the older one is late.
            self._held.update((each.sequence, each) for each in lot)
            made = [await self._made_of(each) for each in lot]
            if self._ended or any(made):
                return [each for each in made if each is not None]
        return []

    async def _is_done(self) -> bool:
        """Nothing is left that was never delivered; a slow server may have found nothing in time."""
        with suppress(nats.errors.Error, TimeoutError):
            consumer = await self._stream.consumer_info(self._terms.stream, self._terms.durable)
            return not consumer.num_pending
        return False

    def _deliveries(self, messages: Sequence[Msg]) -> list[Delivery]:
        since = asyncio.get_running_loop().time()
        return [Delivery(each, self._line.generation, since) for each in messages]

    async def _made_of(self, delivery: Delivery) -> tuple[Delivery, Any] | None:
        payload = delivery.message.data
        try:
            return delivery, self._terms.decode(payload)
        except Exception as error:  # noqa: BLE001 - a decoder may be the user's, and a payload anybody's
            where = f"message {delivery.sequence} ({len(payload)} bytes)"
            told = f"{self._terms.what}: {where} cannot be decoded: {type(error).__name__}"
        if not self._terms.skips:
            raise BadMessageError(f"{told}; bad='skip' leaves such out") from None
        self._forget(delivery)
        await self._confirm({delivery: Msg.Ack.Term})
        _LOG.error("%s, and is left out", told)
        return None

    async def _beating(self) -> None:
        """Tell the server of all that is held for long that it is being worked on."""
        pause = self._ack_wait / 3
        while True:
            await asyncio.sleep(pause)
            now = asyncio.get_running_loop().time()
            for each in list(self._held.values()):
                if each.generation != self._line.generation:
                    self._forget(each)
                elif now - each.since > pause / 2:
                    await self._send(each.message, Msg.Ack.Progress)

    async def _leaving(self) -> None:
        if self._heartbeats is not None:
            self._heartbeats.cancel()
        await self._intake.close()
        try:
            async with asyncio.timeout(_PATIENCE_AT_THE_END):
                if self._pulling is not None and self._line.is_up:
                    late = self._deliveries(await self._pulling.end())
                    # The server (2.9) takes what is given back for a request that is still open, and only
                    # then finds nobody there. Asked for its state it drops such requests first.
                    await self._stream.consumer_info(self._terms.stream, self._terms.durable)
                    await self._nack(sorted({*self._held.values(), *late}, key=lambda each: each.sequence))
        except (nats.errors.Error, ConnectionLostError, TimeoutError):
            _LOG.warning("%s: what it held comes again after %g s", self._terms.what, self._ack_wait)
        if self._heartbeats is not None:
            await asyncio.wait([self._heartbeats])
