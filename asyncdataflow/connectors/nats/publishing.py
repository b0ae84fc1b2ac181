"""Publishing: a list of items sent to a stream, until each is confirmed or will not be."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from ...errors import (
    ConnectionLostError,
    ConnectorSetupError,
    DestinationFullError,
    RejectedItemError,
    UncertainWriteError,
)
from ...message import outgoing_headers
from ...naming import describe_item
from .client import Line, subject_of

with suppress(ImportError):
    import nats.errors
    import nats.js.errors

__all__ = ("Publishing", "Way")

_SHORTEST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0
_PATIENCE_WITH_A_CONFIRMATION: Final = 5.0
_FULL: Final = frozenset((10023, 10047, 10077))
"""Error codes of JetStream: no resources, no storage, and a stream with as much as it may hold."""
_TOO_LARGE: Final = 10054
_OF_A_HEADER: Final = 20
"""Bytes around the headers, at most."""


@dataclass(frozen=True, slots=True)
class Way:
    """How items are published; the options of :class:`JetStreamSink`, checked."""

    what: str
    subject: str | Callable[[Any], str]
    key: Callable[[Any], str] | None
    encode: Callable[[Any], bytes]
    headers: Callable[[Any], Mapping[str, str]] | None
    full_wait: float
    reconnect: float
    domain: str | None


@dataclass(slots=True)
class _Letter:
    """One item on its way."""

    subject: str
    payload: bytes
    headers: dict[str, str] | None
    is_uncertain: bool = False


class Publishing:
    """Publishes lists of items over one connection."""

    def __init__(self, line: Line, way: Way) -> None:
        self._line = line
        self._way = way
        self._stream = line.client.jetstream(domain=way.domain)

    async def write(self, items: Sequence[Any]) -> None:
        """Publish all, and wait until all are confirmed.

        Raises:
            RejectedItemError: An item cannot be sent at all, and none was.
            ConnectorError: Some are not confirmed.
        """
        letters = [self._letter(item, number, len(items)) for number, item in enumerate(items, 1)]
        since: dict[type[Exception], float] = {}
        pause = _SHORTEST_PAUSE
        while letters:
            failures = await self._failures(letters)
            for failure in failures.values():
                first = since.setdefault(type(failure.error), _now())
                if failure.for_good or _now() - first >= failure.patience:
                    raise self._told(failure.error, len(items))
            letters = [each for number, each in enumerate(letters) if number in failures]
            if letters:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - only so that not all come at once
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _told(self, error: Exception, count: int) -> Exception:
        """A rejected item's list can be written again item by item; not so where others of it are there."""
        if isinstance(error, RejectedItemError) and count > 1 and self._way.key is None:
            return UncertainWriteError(str(error))
        return error

    async def _failures(self, letters: list[_Letter]) -> dict[int, _Failure]:
        """Send them all at once; which were not confirmed, and why."""
        failures = {}
        for number, task in enumerate(await self._line.until_lost(map(self._send, letters))):
            failure = self._lost(letters[number], sent=True) if task.cancelled() else task.result()
            if failure is not None:
                failures[number] = failure
        return failures

    async def _send(self, letter: _Letter) -> _Failure | None:
        """Why it is not confirmed; ``None`` where it is."""
        if not self._line.is_up:
            return self._lost(letter, sent=False)
        try:
            await self._stream.publish(
                letter.subject, letter.payload, timeout=_PATIENCE_WITH_A_CONFIRMATION, headers=letter.headers
            )
        except (nats.js.errors.NoStreamResponseError, nats.js.errors.APIError) as error:
            return self._refused(letter, error)
        except (nats.errors.OutboundBufferLimitError, nats.errors.ConnectionClosedError):
            return self._lost(letter, sent=False)
        except (nats.errors.Error, TimeoutError):
            return self._lost(letter, sent=True)
        return None

    def _lost(self, letter: _Letter, *, sent: bool) -> _Failure:
        what, patience = self._way.what, self._way.reconnect
        letter.is_uncertain = letter.is_uncertain or sent
        if not letter.is_uncertain:
            return _Failure(ConnectionLostError(f"{what}: the connection was lost"), patience)
        error = UncertainWriteError(
            f"{what}: the connection was lost before a message was confirmed: it may be there or not"
            + ("" if self._way.key else "; key= makes sending it again harmless")
        )
        return _Failure(error, patience, for_good=self._way.key is None)

    def _refused(self, letter: _Letter, error: Exception) -> _Failure:
        what = self._way.what
        code = getattr(error, "err_code", None)
        told = getattr(error, "description", None)
        if code in _FULL:
            return _Failure(DestinationFullError(f"{what}: the stream is full: {told}"), self._way.full_wait)
        if code == _TOO_LARGE:
            larger = RejectedItemError(
                f"{what}: an item of {len(letter.payload)} bytes is larger than the stream takes; "
                "others of its chunk may be there"
            )
            return _Failure(larger, 0.0, for_good=True)
        if code is None and not letter.is_uncertain:
            # Nobody answers for the subject: JetStream is not up yet, or there is no such stream.
            gone = ConnectorSetupError(f"{what}: no stream takes {letter.subject!r}")
            return _Failure(gone, self._way.reconnect)
        if code is None:
            return self._lost(letter, sent=True)
        return _Failure(ConnectorSetupError(f"{what}: {told}"), 0.0, for_good=True)

    def _letter(self, item: Any, number: int, count: int) -> _Letter:
        """An item as it is sent.

        Raises:
            RejectedItemError: It cannot be.
        """
        way = self._way
        try:
            payload = way.encode(item)
            subject = way.subject if isinstance(way.subject, str) else way.subject(item)
            subject_of(way.what, "subject", subject)
            headers = _checked(dict(way.headers(item))) if way.headers else {}
            if way.key is not None:
                headers |= _checked({"Nats-Msg-Id": way.key(item)})
            if not isinstance(payload, bytes):
                raise TypeError("a payload is bytes")
        except Exception as error:  # noqa: BLE001 - the functions are the user's, and an item anything
            raise self._rejected(item, number, count, f"{type(error).__name__} as it is encoded") from None
        most = self._line.client.max_payload
        # A trace that finds no room in it is no reason to refuse an item.
        for each in ({**outgoing_headers(number - 1), **headers}, headers):
            size = len(payload) + sum(len(f"{name}{value}") * 4 + 4 for name, value in each.items())
            if size + _OF_A_HEADER * bool(each) <= most:
                return _Letter(subject, payload, each or None)
        raise self._rejected(item, number, count, f"its {size} bytes are more than the server's {most}")

    def _rejected(self, item: Any, number: int, count: int, why: str) -> RejectedItemError:
        which, none = (
            (f"item {number} of {count}", "; none of them was sent") if count > 1 else ("the item", "")
        )
        return RejectedItemError(
            f"{self._way.what}: {which} ({describe_item(item)}) cannot be sent: {why}{none}"
        )


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a message is not confirmed, and for how long it is worth to try again."""

    error: Exception
    patience: float
    for_good: bool = False


def _checked(headers: dict[str, str]) -> dict[str, str]:
    """Headers as they were given: what the client would cut or replace would be another identity.

    Raises:
        ValueError: One is empty, or no text of a line.
    """
    for name, value in headers.items():
        for text in (name, value):
            if not isinstance(text, str) or not text or text != text.strip() or not text.isprintable():
                raise ValueError("a header is a line of text")
        if not name.isascii() or ":" in name or " " in name:
            raise ValueError("a header's name is one word")
    return headers


def _now() -> float:
    return asyncio.get_running_loop().time()
