"""Delivery: a message as it was delivered this time, and how it is given back."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass

from ...policy import Retry

with suppress(ImportError):
    from nats.aio.msg import Msg

__all__ = ("Delivery", "nak")


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A message as it was delivered this time.

    Attributes:
        message: It.
        generation: Of the connection that brought it.
        since: When it came, by the loop's clock.
    """

    message: Msg
    generation: int
    since: float

    @property
    def sequence(self) -> int:
        """Of the message in its stream."""
        return self.message.metadata.sequence.stream


def nak(delivery: Delivery, redeliver: Retry) -> bytes:
    """Give it again, after the wait behind so many deliveries."""
    draw = random.random()  # noqa: S311 - jitter, no secret
    after = redeliver.wait(delivery.message.metadata.num_delivered or 1, draw)
    told: bytes = Msg.Ack.Nak + (b' {"delay": %d}' % int(after * 1e9) if after else b"")
    return told
