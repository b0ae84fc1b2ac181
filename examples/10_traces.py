"""One trace of each order: on the loop, in a thread, in a worker process and in a batch with others.

Spans go into a list here; in a service an exporter takes them. Each is printed under what it is part of,
and of a batch, which is part of its first order, also how many others it has to do with.
"""

import asyncio
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asyncdataflow import DataFlow, batch, stage
from asyncdataflow.observe.opentelemetry import OpenTelemetry


async def price(order: int) -> float:
    """What the function traces itself is part of the stage's span."""
    with trace.get_tracer("shop").start_as_current_span("ask the shop"):
        await asyncio.sleep(0.001)
    return order * 1.5


def tax(amount: float) -> float:
    """In a thread."""
    return amount * 1.2


def sign(amount: float) -> tuple[float, int]:
    """In a worker process, which knows the trace too."""
    return round(amount, 2), trace.get_current_span().get_span_context().trace_id


def store(rows: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Several orders at once."""
    return rows


def ids(span: ReadableSpan) -> trace.SpanContext:
    """Which span of which trace it is."""
    return span.get_span_context() or trace.INVALID_SPAN_CONTEXT


def show(spans: Sequence[ReadableSpan], parent: int | None = None, indent: str = "") -> None:
    """Print what is part of something, in the order in which it began."""
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        if (span.parent.span_id if span.parent else None) == parent:
            links = f", with {len(span.links)} other order(s)" if span.links else ""
            print(f"{indent}{span.name}{links}")
            show(spans, ids(span).span_id, f"{indent}  ")


def main() -> None:
    """Run it."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    steps = (price, tax, stage(sign, executor="process"), batch(2), store)
    flow = DataFlow((stage(range(1, 5), name="orders"), *steps), instruments=[OpenTelemetry()])
    signed = {number for rows in flow() for _, number in rows}
    spans = exporter.get_finished_spans()
    show(spans)
    assert signed == {ids(span).trace_id for span in spans}
    print(f"{len(signed)} traces")


if __name__ == "__main__":
    main()
