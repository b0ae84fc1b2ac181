"""A trace that goes through a real broker: a flow publishes, another one consumes."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("nats")

import nats as client
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from asyncdataflow import DataFlow, stage
from asyncdataflow.connectors.nats import JetStreamSink, JetStreamSource
from asyncdataflow.observe.opentelemetry import OpenTelemetry


async def enrich(number):
    return {"n": number}


def store(row):
    """In a thread."""


@pytest.fixture
async def name(nats, new_name):
    name = new_name("TRACED")
    connection = await client.connect(nats.url)
    await connection.jetstream().add_stream(name=name, subjects=[name])
    await connection.close()
    return name


def traced():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter, OpenTelemetry(provider)


@pytest.mark.parametrize("chunk", [1, 100])
async def test_a_flow_a_broker_and_a_flow_are_one_trace(nats, name, chunk):
    sent, sends = traced()
    received, receives = traced()  # As in another program.
    sink = stage(JetStreamSink(nats.url, name, chunk=chunk, headers=lambda row: {"own": "x"}), name="publish")
    await DataFlow((range(3), enrich, sink), instruments=[sends]).run()
    source = stage(JetStreamSource(nats.url, name, durable="worker", follow=False), name="orders")
    await DataFlow((source, store), instruments=[receives]).run()
    roots = {each.context.trace_id for each in sent.get_finished_spans() if each.parent is None}
    messages = [each for each in received.get_finished_spans() if each.name == "orders"]
    stores = [each for each in received.get_finished_spans() if each.name == "store"]
    assert len(roots) == len(messages) == len(stores) == 3
    assert {each.context.trace_id for each in messages} == roots
    assert {each.context.trace_id for each in stores} == roots
    assert all(each.kind is SpanKind.CONSUMER for each in messages)
    ids = {each.context.span_id: each.name for each in sent.get_finished_spans()}
    parents = {ids[each.parent.span_id] for each in messages}
    assert parents == {"publish"} if chunk == 1 else parents <= {"publish", "range"}


async def test_a_payload_with_no_room_for_a_trace_goes_without(nats, name):
    sent, sends = traced()
    sink = JetStreamSink(nats.url, name, encode="bytes")
    await DataFlow(sink, instruments=[sends]).run(items=[b"x" * (1 << 20)])
    assert len(sent.get_finished_spans()) == 2
    received, receives = traced()
    source = JetStreamSource(nats.url, name, durable="worker", follow=False, decode="bytes")
    assert await DataFlow((source, len), instruments=[receives]).run() == [1 << 20]
    assert [each.parent is None for each in received.get_finished_spans() if each.name != "len"] == [True]
