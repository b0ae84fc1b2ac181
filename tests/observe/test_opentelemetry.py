"""What OpenTelemetry sees of messages: real spans of its SDK."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from asyncdataflow import (
    AckableSource,
    DataFlow,
    Message,
    Retry,
    Sink,
    batch,
    dead_letter,
    filter_,
    stage,
    take,
)
from asyncdataflow.errors import MissingExtraError
from asyncdataflow.message import outgoing_headers
from asyncdataflow.observe.opentelemetry import OpenTelemetry

SECRET = "hunter2"


class Spans:
    """The spans of one provider."""

    def __init__(self, sampler=None):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("tests")

    def instrument(self, **options):
        return OpenTelemetry(self.provider, **options)

    @property
    def all(self):
        return self.exporter.get_finished_spans()

    def named(self, name):
        return [each for each in self.all if each.name == name]

    def traces(self):
        """The names in each trace, in the order in which they ended."""
        found = {}
        for each in self.all:
            found.setdefault(each.context.trace_id, []).append(each.name)
        return sorted(found.values())

    def of(self, span):
        """The name of its parent."""
        names = {each.context.span_id: each.name for each in self.all}
        return names[span.parent.span_id]


@pytest.fixture
def spans():
    return Spans()


def current():
    told = trace.get_current_span().get_span_context()
    return told.trace_id, told.span_id


async def on_the_loop(n):
    await asyncio.sleep(0)
    return [n, current()]


def in_a_thread(item):
    return [*item, current()]


def in_a_process(item):
    return [*item, current()]


def many_in_a_process(item):
    for _ in range(2):
        yield [*item, current()]


class Written(Sink):
    def __init__(self, chunk=1):
        self.chunk = chunk
        self.items, self.headers = [], []

    @asynccontextmanager
    async def open(self):
        async def write(given):
            items = [given] if self.chunk == 1 else given
            self.items += [[*item, current()] for item in items]
            self.headers += [dict(outgoing_headers(place)) for place in range(len(items))]

        yield write


def test_one_trace_of_each_item_through_the_loop_a_thread_and_a_process_into_a_sink(spans):
    sink = Written()
    flow = DataFlow(
        (range(3), on_the_loop, in_a_thread, stage(in_a_process, executor="process"), sink),
        instruments=[spans.instrument()],
        name="orders",
    )
    flow()
    assert spans.traces() == [["on_the_loop", "in_a_thread", "in_a_process", "Written", "range"]] * 3
    for span in spans.all:
        if span.name == "range":
            assert span.parent is None
        else:
            assert spans.of(span) == "range"
    names = {(each.context.trace_id, each.context.span_id): each.name for each in spans.all}
    for _, *seen in sink.items:
        assert [names[each] for each in seen] == ["on_the_loop", "in_a_thread", "in_a_process", "Written"]
    (root, *_) = spans.named("range")
    assert dict(root.attributes) == {"asyncdataflow.flow": "orders", "asyncdataflow.source": "range"}
    assert root.kind is SpanKind.INTERNAL
    (step, *_) = spans.named("in_a_thread")
    assert dict(step.attributes) == {
        "asyncdataflow.flow": "orders",
        "asyncdataflow.stage": "in_a_thread",
        "asyncdataflow.attempt": 1,
        "messaging.batch.message_count": 1,
    }
    assert root.start_time <= step.start_time <= step.end_time <= root.end_time


def test_a_generator_in_a_process(spans):
    flow = DataFlow(
        (range(2), on_the_loop, stage(many_in_a_process, executor="process"), in_a_thread),
        instruments=[spans.instrument()],
    )
    results = flow()
    names = ["in_a_thread", "in_a_thread", "many_in_a_process", "on_the_loop", "range"]
    assert [sorted(each) for each in spans.traces()] == [names] * 2
    ids = {each.context.span_id for each in spans.named("many_in_a_process")}
    assert {each[2][1] for each in results} == ids


def test_a_span_of_the_function_s_own_is_a_child_of_the_stage_s(spans):
    def works(n):
        with spans.tracer.start_as_current_span("own"):
            return n

    async def waits(n):
        with spans.tracer.start_as_current_span("own too"):
            await asyncio.sleep(0)
        return n

    DataFlow((range(2), works, stage(waits, concurrency=2)), instruments=[spans.instrument()])()
    assert {spans.of(each) for each in spans.named("own")} == {"works"}
    assert {spans.of(each) for each in spans.named("own too")} == {"waits"}


def test_branches_are_in_the_trace_of_their_item(spans):
    async def left(n): ...
    def right(n): ...

    DataFlow((range(2), (left, right)), instruments=[spans.instrument()])()
    assert [sorted(each) for each in spans.traces()] == [["left", "range", "right"]] * 2


@pytest.mark.parametrize("executor", ["auto", "inline"])
def test_a_batch_is_in_the_trace_of_its_first_with_links_to_the_others(spans, executor):
    flow = DataFlow((range(4), batch(3), stage(len, executor=executor)), instruments=[spans.instrument()])
    flow()
    roots = spans.named("range")
    rest, whole = sorted(spans.named("len"), key=lambda each: len(each.links))
    assert whole.attributes["messaging.batch.message_count"] == 3
    first = min(roots, key=lambda each: each.start_time)
    assert whole.parent.span_id == first.context.span_id
    linked = {each.context.span_id for each in whole.links}
    assert len(linked) == 2
    assert linked < {each.context.span_id for each in roots} - {first.context.span_id}
    assert not rest.links


def test_what_is_filtered_has_a_trace_that_ends_there(spans):
    flow = DataFlow((range(2), filter_(bool, name="wanted"), in_a_list), instruments=[spans.instrument()])
    flow()
    assert spans.traces() == [["wanted", "in_a_list", "range"], ["wanted", "range"]]


def in_a_list(n):
    return [n]


def failing(n):
    raise LookupError(SECRET)


def test_attempts_and_the_error_of_each(spans):
    tries = iter([LookupError(SECRET), LookupError(SECRET)])

    def unsteady(n):
        for error in tries:
            raise error
        return n

    step = stage(unsteady, retry=Retry(attempts=3, backoff=0))
    flow = DataFlow((range(1), step), instruments=[spans.instrument()])
    assert flow() == [0]
    found = [
        (each.attributes["asyncdataflow.attempt"], each.status.status_code, each.attributes.get("error.type"))
        for each in spans.named("unsteady")
    ]
    assert found == [
        (1, StatusCode.ERROR, "LookupError"),
        (2, StatusCode.ERROR, "LookupError"),
        (3, StatusCode.UNSET, None),
    ]
    (root,) = spans.named("range")
    assert root.status.status_code is StatusCode.UNSET


def test_a_dead_letter_goes_on_in_the_trace_of_its_item(spans):
    letters = []
    step = stage(failing, on_error=dead_letter(letters.append))
    DataFlow((range(1), step), instruments=[spans.instrument()])()
    assert len(letters) == 1
    assert spans.traces() == [["failing", "append", "range"]]


def test_a_failure_is_its_message_s_too(spans):
    with pytest.raises(LookupError):
        DataFlow((range(1), failing), instruments=[spans.instrument()])()
    assert [each.status.status_code for each in spans.all] == [StatusCode.ERROR] * 2
    assert [each.status.description for each in spans.all] == ["LookupError"] * 2


def test_what_nobody_wanted_is_no_fault(spans):
    DataFlow((range(1000), take(1)), instruments=[spans.instrument()])()
    assert {each.status.status_code for each in spans.all} == {StatusCode.UNSET}


def told(spans):
    return "\n".join(each.to_json() for each in spans.all)


def test_no_text_of_an_error_is_shown_unless_that_is_asked_for(spans):
    flow = [range(1), stage(failing, on_error="skip")]
    DataFlow(flow, instruments=[spans.instrument()])()
    assert SECRET not in told(spans)
    DataFlow(flow, instruments=[spans.instrument(error_text=True)])()
    assert SECRET in told(spans)


class Broker(AckableSource):
    """Gives one message with headers."""

    def __init__(self, headers):
        self.headers = headers

    @asynccontextmanager
    async def open(self, after=None):
        yield self

    async def __aiter__(self):
        yield Message(0, headers=self.headers)

    async def answer(self, answers):
        pass


def test_a_message_goes_on_with_the_trace_that_it_came_with(spans):
    sink = Written()
    with spans.tracer.start_as_current_span("publisher"):
        DataFlow((range(1), on_the_loop, sink), instruments=[spans.instrument()])()
    (headers,) = sink.headers
    assert set(headers) == {"traceparent"}
    DataFlow((Broker(headers), on_the_loop), instruments=[spans.instrument()])()
    (received,) = spans.named("Broker")
    assert spans.of(received) == "Written"
    assert received.kind is SpanKind.CONSUMER
    assert received.parent.is_remote


def test_each_item_of_a_list_goes_with_its_own_trace(spans):
    sink = Written(chunk=10)
    DataFlow((range(5), on_the_loop, sink), instruments=[spans.instrument()])()
    written = {headers["traceparent"].split("-")[1] for headers in sink.headers}
    assert written == {f"{each.context.trace_id:032x}" for each in spans.named("range")}


def test_a_message_without_a_trace_begins_one(spans):
    DataFlow((Broker({"other": "header"}), on_the_loop), instruments=[spans.instrument()])()
    (received,) = spans.named("Broker")
    assert received.parent is None
    assert received.kind is SpanKind.CONSUMER


def test_a_run_within_a_span_is_linked_to_it_and_keeps_what_else_is_current(spans):
    async def reads(n):
        return baggage.get_baggage("tenant")

    token = context.attach(baggage.set_baggage("tenant", "a"))
    try:
        with spans.tracer.start_as_current_span("request") as request:
            results = DataFlow((range(1), reads), instruments=[spans.instrument()])()
    finally:
        context.detach(token)
    (root,) = spans.named("range")
    assert root.parent is None
    assert [each.context for each in root.links] == [request.get_span_context()]
    assert results == ["a"]


async def test_a_call_is_part_of_its_caller_s_trace(spans):
    async def asked(run, name):
        with spans.tracer.start_as_current_span(name):
            return await run.call(name)

    async with DataFlow(on_the_loop, instruments=[spans.instrument()]).open() as run:
        await asyncio.gather(asked(run, "a"), asked(run, "b"))
    assert spans.traces() == [["on_the_loop", "items", "a"], ["on_the_loop", "items", "b"]]
    assert {spans.of(each) for each in spans.named("items")} == {"a", "b"}


async def test_two_runs_at_once_do_not_mix(spans):
    flow = DataFlow((stage(on_the_loop, concurrency=3), in_a_thread), instruments=[spans.instrument()])
    first, second = await asyncio.gather(flow.run(items=range(20)), flow.run(items=range(20)))
    assert spans.traces() == [["on_the_loop", "in_a_thread", "items"]] * 40
    for results in (first, second):
        assert all(loop[0] == thread[0] for _, loop, thread in results)
    assert {each[1][0] for each in first}.isdisjoint({each[1][0] for each in second})


async def endless(n):
    while True:
        await asyncio.sleep(0)
        yield [n]


def endless_in_a_thread(item):
    while True:
        yield item


@pytest.mark.parametrize(
    "many", [endless, endless_in_a_thread, stage(endless_in_a_thread, executor="inline")]
)
async def test_nothing_stays_current_where_it_ends_early(spans, many, caplog):
    """OpenTelemetry logs what is detached where it was not attached."""
    flow = DataFlow((on_the_loop, many, in_a_thread, take(3)), instruments=[spans.instrument()])
    assert len(await flow.run(items=range(3))) == 3
    async with flow.stream(items=range(3)) as run:
        async for _ in run:
            break
    assert not trace.get_current_span().get_span_context().is_valid
    assert not caplog.records
    assert {each.name for each in spans.all} >= {"on_the_loop", "items", "in_a_thread"}


async def test_a_call_that_is_cut_short_is_no_fault(spans):
    begun = asyncio.Event()

    async def stuck(n):
        begun.set()
        await asyncio.get_running_loop().create_future()

    async with DataFlow(stuck, instruments=[spans.instrument()]).stream(items=range(1)) as run:
        waiting = asyncio.create_task(run.__anext__())
        await begun.wait()
        run.stop()
        await asyncio.gather(waiting, return_exceptions=True)
    assert [each.name for each in spans.all] == ["stuck", "items"]
    assert {each.status.status_code for each in spans.all} == {StatusCode.UNSET}
    assert {each.attributes["error.type"].rpartition(".")[2] for each in spans.all} == {
        "CancelledError",
        "UnsettledError",
    }


class Odd(Sampler):
    """Samples every other message, and what belongs to one."""

    def __init__(self):
        self.seen = 0

    def should_sample(self, parent_context, *args, **kwargs):
        self.seen += 1
        decides = ALWAYS_ON if self.seen % 2 else ALWAYS_OFF
        return decides.should_sample(parent_context, *args, **kwargs)

    def get_description(self):
        return "odd"


def test_what_is_not_sampled_is_carried_so_that_nobody_records_any_of_it():
    spans = Spans(ParentBased(Odd()))

    def works(item):
        with spans.tracer.start_as_current_span("own"):
            return item

    sink = Written()
    DataFlow((range(4), on_the_loop, works, sink), instruments=[spans.instrument()])()
    assert spans.traces() == [["on_the_loop", "own", "works", "Written", "range"]] * 2
    assert sorted(int(each["traceparent"][-2:]) & 1 for each in sink.headers) == [0, 0, 1, 1]


def test_what_is_not_sampled_can_be_dropped():
    spans = Spans(ALWAYS_OFF)
    sink = Written()
    DataFlow((range(2), on_the_loop, sink), instruments=[spans.instrument(unsampled="drop")])()
    assert sink.headers == [{}, {}]
    with pytest.raises(ValueError, match="'carry' or 'drop'"):
        OpenTelemetry(unsampled="keep")


def test_a_batch_of_which_some_are_sampled_is_in_the_trace_of_one_that_is():
    spans = Spans(ParentBased(Odd()))
    DataFlow((range(3), batch(3), len), instruments=[spans.instrument()])()
    (step,) = spans.named("len")
    assert step.attributes["messaging.batch.message_count"] == 3
    assert len(step.links) == 2


def test_without_a_provider_nothing_is_followed():
    sink = Written()
    DataFlow((range(2), on_the_loop, sink), instruments=[OpenTelemetry()])()
    assert sink.headers == [{}, {}]


def test_without_opentelemetry_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "asyncdataflow.observe.opentelemetry")
    with pytest.raises(MissingExtraError, match=r"pip install 'asyncdataflow\[otel\]'"):
        import asyncdataflow.observe.opentelemetry  # noqa: F401
