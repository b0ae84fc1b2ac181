"""Following: what the instruments of a run are told of its messages.

A message that an instrument wants to hear of has a ``Trace``, which its receipt knows. So what is made
of it can be told by its receipt, whatever it is by then, and the function of a stage is called with it
``Entrusted``: with the traces beside the item, for whoever makes the call, where it is made.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any, Final

from .abc import Instrument, Span
from .entering import stepped
from .errors import UnsettledError
from .message import WRITING, Message

__all__ = ("Entrusted", "Following", "Passage", "Trace", "Tries", "ended")

_logger: Final = logging.getLogger("asyncdataflow")


class _Guarded:
    """One instrument in one run: one that raises is told of once, and asked nothing any more."""

    __slots__ = ("_flow", "_is_out", "_lock", "instrument")

    def __init__(self, instrument: Instrument, flow: str) -> None:
        self.instrument = instrument
        self._flow = flow
        self._is_out = False
        self._lock = threading.Lock()

    def ask(self, method: Callable[..., Any], *args: Any) -> Any:
        """What it says; ``None`` where it raises, or has raised before. Called in any thread."""
        if self._is_out:
            return None
        try:
            return method(*args)
        except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - no business of the flow's
            self._leave(error)
            return None

    def _leave(self, error: BaseException) -> None:
        with self._lock:
            told, self._is_out = self._is_out, True
        if not told:
            kind = type(self.instrument).__name__
            _logger.warning(
                "%s: the instrument %s has raised, and is told nothing more in this run",
                self._flow,
                kind,
                exc_info=error,
            )


class Trace:
    """What the instruments have of one message.

    Attributes:
        parts: Of each that follows it, what it has said.
    """

    __slots__ = ("_open", "_passages", "parts")

    def __init__(self, parts: Mapping[_Guarded, Any], open_: set[Trace]) -> None:
        self.parts = parts
        self._open = open_
        self._passages: set[Passage] = set()
        open_.add(self)

    def begin(self, passage: Passage) -> None:
        """A call of it has begun, which ends with the message where nothing else ends it."""
        self._passages.add(passage)

    def leave(self, passage: Passage) -> None:
        """It has ended."""
        self._passages.discard(passage)

    def end(self, error: BaseException | None) -> None:
        """The message is settled; what is said after this counts for nothing."""
        if self in self._open:
            self._open.discard(self)
            # What a thread made for the loop to await or to take apart, and a stop has let nobody have.
            for passage in list(self._passages):
                passage.end(error)
            for guarded, part in self.parts.items():
                guarded.ask(guarded.instrument.settled, part, error)


class Following:
    """The instruments of one run.

    Args:
        flow: The flow's name.
        instruments: One or more.
    """

    def __init__(self, flow: str, instruments: Iterable[Instrument]) -> None:
        self._flow = flow
        self._guarded = [_Guarded(each, flow) for each in instruments]
        self._open: set[Trace] = set()

    def begin(self, source: str, message: Message[Any]) -> Trace | None:
        """A source has given a message; ``None`` where nobody wants to hear more of it."""
        parts = {}
        for each in self._guarded:
            part = each.ask(each.instrument.begin, self._flow, source, message)
            if part is not None:
                parts[each] = part
        return Trace(parts, self._open) if parts else None

    def end(self) -> None:
        """The run is over, and nobody holds a result: what is not settled never will be."""
        for trace in list(self._open):
            trace.end(UnsettledError("the run ended before it was settled"))


class Tries:
    """Counts how often something is tried in the stage where it is."""

    __slots__ = ("_stage", "_tries")

    def __init__(self, tries: int = 0) -> None:
        self._tries = tries
        self._stage: str | None = None

    def next(self, stage: str) -> int:
        """The number of the try that begins."""
        if self._stage is not None and self._stage != stage:
            self._tries = 0
        self._stage = stage
        self._tries += 1
        return self._tries


class Entrusted:
    """What a stage's function is to be called with, and what it is made of.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.
        rows: Of the item, or of each in a list, the traces of its messages.
        tries: Counts its tries.
    """

    __slots__ = ("_passage", "args", "kwargs", "rows", "tries")

    def __init__(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], rows: Sequence[Sequence[Trace]], tries: Tries
    ) -> None:
        self.args = args
        self.kwargs = kwargs
        self.rows = rows
        self.tries = tries
        self._passage: Passage | None = None

    def spread(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Entrusted:
        """The same as several arguments."""
        return Entrusted(args, kwargs, self.rows, self.tries)

    def begin(self, stage: str) -> Passage:
        """The call begins, here and now."""
        self._passage = Passage(stage, self.tries.next(stage), self.rows)
        return self._passage

    def end(self, error: BaseException) -> None:
        """Nobody waits for it any more."""
        if self._passage is not None:
            self._passage.end(error)


class Passage:
    """One call of a stage's function; a context that ends it.

    Args:
        stage: The stage's name.
        attempt: Which one it is.
        rows: As of ``Entrusted``.
    """

    __slots__ = ("_places", "_rows", "_spans", "_traces", "_unended")

    def __init__(self, stage: str, attempt: int, rows: Sequence[Sequence[Trace]]) -> None:
        self._rows = rows
        self._traces = rows[0] if len(rows) == 1 else list(dict.fromkeys(chain.from_iterable(rows)))
        self._spans: list[tuple[_Guarded, Span]] = []
        for guarded in dict.fromkeys(chain.from_iterable(each.parts for each in self._traces)):
            parts = [each.parts[guarded] for each in self._traces if guarded in each.parts]
            span = guarded.ask(_span, guarded.instrument, stage, attempt, parts)
            if span is not None:
                self._spans.append((guarded, span))
        self._unended = self._spans.copy()
        self._places: dict[_Guarded, dict[Trace, int]] = {}
        for trace in self._traces if self._spans else ():
            trace.begin(self)

    def __enter__(self) -> Passage:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.end(None if isinstance(error, GeneratorExit) else error)

    def end(self, error: BaseException | None) -> None:
        """The call is over; what is said after this, by whichever thread, counts for nothing."""
        while self._unended:
            try:
                guarded, span = self._unended.pop()
            except IndexError:  # The loop and a thread have said so at once.
                return
            guarded.ask(span.end, error)
            if not self._unended:
                for trace in self._traces:
                    trace.leave(self)

    def current(self) -> AbstractContextManager[object]:
        """Entered around the function, in its task or thread."""
        return _Current(self._spans, self.headers)

    def carried(self, pickled: Callable[[object], bytes]) -> tuple[bytes, ...]:
        """The same for a worker process."""
        made = [guarded.ask(lambda span=span: pickled(span.carried())) for guarded, span in self._spans]
        return tuple(each for each in made if each is not None)

    def headers(self, place: int) -> Mapping[str, str]:
        """What goes with the item of this place, or what was made of it, to another program."""
        found: dict[str, str] = {}
        row = self._rows[place] if place < len(self._rows) else ()
        for guarded, span in self._spans if row else ():
            number = self._numbers(guarded).get(row[0])
            if number is not None:
                found |= guarded.ask(_headers, span, number) or {}
        return found

    def _numbers(self, guarded: _Guarded) -> dict[Trace, int]:
        """Which of the messages that an instrument was told of is which."""
        if guarded not in self._places:
            told = (each for each in self._traces if guarded in each.parts)
            self._places[guarded] = {each: number for number, each in enumerate(told)}
        return self._places[guarded]


class _Current:
    """What is current while a function runs: of each instrument's; entered and left in one thread."""

    __slots__ = ("_entered", "_headers", "_spans", "_token")

    def __init__(
        self, spans: Sequence[tuple[_Guarded, Span]], headers: Callable[[int], Mapping[str, str]]
    ) -> None:
        self._spans = spans
        self._headers = headers
        self._entered: list[tuple[_Guarded, AbstractContextManager[object]]] = []

    def __enter__(self) -> None:
        self._token = WRITING.set(self._headers)
        for guarded, span in self._spans:
            guarded.ask(self._enter, guarded, span)

    def __exit__(self, *_: object) -> None:
        while self._entered:
            guarded, context = self._entered.pop()
            guarded.ask(_leave, context)
        try:  # noqa: SIM105 - twice for each call: a context would cost more than the rest
            WRITING.reset(self._token)
        except ValueError:
            pass  # It is left from elsewhere, by the collector for instance.

    def _enter(self, guarded: _Guarded, span: Span) -> None:
        context = span.current()
        context.__enter__()
        self._entered.append((guarded, context))


def _span(instrument: Instrument, stage: str, attempt: int, traces: Sequence[Any]) -> Span | None:
    span = instrument.call(stage, attempt, traces)
    if span is not None and not isinstance(span, Span):
        raise TypeError(f"call() has to return an asyncdataflow.abc.Span or None, not {type(span).__name__}")
    return span


def _headers(span: Span, place: int) -> dict[str, str]:
    """As they are given, where they can go anywhere: a sink would refuse the item for one that cannot."""
    found = dict(span.headers(place))
    for text in chain(found, found.values()):
        if not isinstance(text, str) or not text or text != text.strip() or not text.isprintable():
            raise ValueError("headers() has to return lines of text by their names")
    return found


def _leave(context: AbstractContextManager[object]) -> None:
    context.__exit__(None, None, None)


def ended(passage: Passage, items: Generator[Any, Any, Any]) -> Generator[Any, None, None]:
    """The items of a call, which is over behind the last of them."""
    with passage:
        yield from stepped(passage.current, items)
