"""Traces for OpenTelemetry: one of each message, from its source through every stage to what it ends in.

Needs ``pip install 'asyncdataflow[otel]'``, and an SDK that says where spans go. Names and attributes
come from definitions alone, but for the type of an error. No item or parameter is ever shown, nor the text
of an error, unless that is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from ..abc import Instrument, Span
from ..errors import MissingExtraError, UnsettledError
from ..message import Message

try:
    from opentelemetry import context as contexts
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode, Tracer, TracerProvider
except ImportError:
    raise MissingExtraError(
        "asyncdataflow.observe.opentelemetry needs opentelemetry-api, which is not installed: "
        "pip install 'asyncdataflow[otel]'"
    ) from None

__all__ = ("OpenTelemetry",)

_NAME: Final = "asyncdataflow"


class OpenTelemetry(Instrument):
    """Makes a trace of each message: a span from its source to its end, in it one of each call of a stage.

    A trace goes on across queues, threads, worker processes and brokers. While a stage's function runs,
    its span is the current one, so that what the function traces itself is part of it. Of what is made
    of several messages, such as a batch, the span is in the trace of the first, with links to the others.

    A message with a trace in its headers goes on with that one; one of ``OpenRun.call`` is part of what its
    caller traces; any other begins a trace, with a link to what was current where the run was started.

    Args:
        provider: Makes the spans; ``None`` is the program's (``trace.set_tracer_provider``).
        unsampled: What is done for a message that the provider does not sample. ``"carry"``: that goes
            on with it, so that nobody records any of it; ``"drop"``: nothing, which costs nothing, but spans
            that a stage's function makes itself, and programs behind a broker, begin traces of their own.
        error_text: Record the text and the traceback of errors too, which may tell what is in an item.

    Raises:
        ValueError: ``unsampled`` is neither.

    Example:
        >>> from opentelemetry.sdk.trace import TracerProvider
        >>> from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        >>> from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.observe.opentelemetry import OpenTelemetry
        >>> spans, provider = InMemorySpanExporter(), TracerProvider()
        >>> provider.add_span_processor(SimpleSpanProcessor(spans))
        >>> def double(n):
        ...     return n * 2
        >>> DataFlow((range(2), double, str), instruments=[OpenTelemetry(provider)])()
        ['0', '2']
        >>> sorted(span.name for span in spans.get_finished_spans())
        ['double', 'double', 'range', 'range', 'str', 'str']
    """

    def __init__(
        self, provider: TracerProvider | None = None, *, unsampled: str = "carry", error_text: bool = False
    ) -> None:
        if unsampled not in ("carry", "drop"):
            raise ValueError(f"OpenTelemetry(unsampled=): 'carry' or 'drop', not {unsampled!r}")
        self._tracer: Tracer = trace.get_tracer(_NAME, tracer_provider=provider)
        self._carries = unsampled == "carry"
        self._error_text = error_text

    def begin(self, flow: str, source: str, message: Message[Any]) -> _Trace | None:
        """As of an ``Instrument``."""
        parent, links = _parent_of(message)
        span = self._tracer.start_span(
            source,
            parent,
            SpanKind.INTERNAL if message.headers is None else SpanKind.CONSUMER,
            {"asyncdataflow.flow": flow, "asyncdataflow.source": source},
            links,
        )
        told = span.get_span_context()
        if not told.is_valid or not (self._carries or told.trace_flags.sampled):
            return None
        return _Trace(flow, span, trace.set_span_in_context(span, parent))

    def call(self, stage: str, attempt: int, traces: Sequence[_Trace]) -> _Call:
        """As of an ``Instrument``."""
        first = next((each for each in traces if each.span.is_recording()), traces[0])
        if not first.span.is_recording():
            return _Call(first, first, traces)
        span = self._tracer.start_span(
            stage,
            first.context,
            attributes={
                "asyncdataflow.flow": first.flow,
                "asyncdataflow.stage": stage,
                "asyncdataflow.attempt": attempt,
                "messaging.batch.message_count": len(traces),
            },
            links=[Link(each.span.get_span_context()) for each in traces if each is not first],
        )
        own = _Trace(first.flow, span, trace.set_span_in_context(span, first.context))
        return _Call(own, first, traces, self._end)

    def settled(self, trace: _Trace, error: BaseException | None) -> None:
        """As of an ``Instrument``."""
        self._end(trace.span, error)

    def _end(self, span: trace.Span, error: BaseException | None) -> None:
        if error is not None and span.is_recording():
            kind = _kind(error)
            span.set_attribute("error.type", kind)
            # What nobody wanted any more, or a stop cut short, is no fault.
            if not isinstance(error, UnsettledError | asyncio.CancelledError):
                span.set_status(Status(StatusCode.ERROR, kind))
                if self._error_text:
                    span.record_exception(error)
        span.end()


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    """A message, or a call, as far as it is traced.

    Attributes:
        flow: The flow's name.
        span: Its span.
        context: What is current where it is worked on.
    """

    flow: str
    span: trace.Span
    context: Context


class _Call(Span):
    """A call of a stage.

    Args:
        own: Its own span.
        first: The message that it is part of.
        traces: All of its messages.
        end: Ends the span, where it has one of its own.
    """

    __slots__ = ("_end", "_first", "_own", "_traces")

    def __init__(self, own: _Trace, first: _Trace, traces: Sequence[_Trace], end: Any = None) -> None:
        self._own = own
        self._first = first
        self._traces = traces
        self._end = end

    def current(self) -> AbstractContextManager[object]:
        """As of a ``Span``."""
        return _Attached(self._own.context)

    def carried(self) -> AbstractContextManager[object]:
        """As of a ``Span``."""
        return _Carried(_injected(self._own))

    def headers(self, place: int) -> Mapping[str, str]:
        """As of a ``Span``: each message goes on in its own trace."""
        told = self._traces[place]
        return _injected(self._own if told is self._first else told)

    def end(self, error: BaseException | None) -> None:
        """As of a ``Span``."""
        if self._end is not None:
            self._end(self._own.span, error)


class _Attached:
    """What is current while a function works on an item."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = contexts.attach(self._context)

    def __exit__(self, *_: object) -> None:
        contexts.detach(self._token)


class _Carried(_Attached):
    """The same in a worker process, where it is unpickled."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(propagate.extract(headers))
        self._headers = headers

    def __reduce__(self) -> tuple[Any, ...]:
        """As its headers."""
        return _Carried, (self._headers,)


def _injected(told: _Trace) -> dict[str, str]:
    headers: dict[str, str] = {}
    propagate.inject(headers, told.context)
    return headers


def _parent_of(message: Message[Any]) -> tuple[Context, list[Link]]:
    """What a message is part of, and what it has to do with."""
    if message.context is not None:
        return message.context.run(contexts.get_current), []
    around = trace.get_current_span().get_span_context()
    base = trace.set_span_in_context(trace.INVALID_SPAN) if around.is_valid else contexts.get_current()
    return propagate.extract(message.headers or {}, base), [Link(around)] if around.is_valid else []


def _kind(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
