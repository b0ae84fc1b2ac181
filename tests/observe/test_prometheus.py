"""What Prometheus sees of runs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from contextlib import AsyncExitStack

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from asyncdataflow import DataFlow, dead_letter, stage
from asyncdataflow.histogram import Histogram
from asyncdataflow.observe.prometheus import RunCollector
from asyncdataflow.stats import RunStats, StageStats
from tests.process_functions import FrozenError


async def numbers(n=10):
    for number in range(n):
        yield number


async def odd_fails(item):
    if item % 2:
        raise LookupError(item)
    return item


FLOW = DataFlow((numbers, stage(odd_fails, on_error="skip"), stage(lambda n: n, name="last")), name="flow")


async def watched(collector, flow=FLOW, **options):
    async with flow.stream(**options) as run:
        with collector.watching(run):
            return [each async for each in run]


def value(registry, name, **labels):
    return registry.get_sample_value(f"asyncdataflow_{name}", labels)


async def test_the_items_of_a_stage_by_what_became_of_them():
    registry = CollectorRegistry()
    await watched(RunCollector(registry))
    seen = {
        outcome: value(registry, "items_total", flow="flow", stage="odd_fails", outcome=outcome)
        for outcome in ("received", "sent", "skipped", "failed", "dropped")
    }
    assert seen == {"received": 10, "sent": 5, "skipped": 5, "failed": 0, "dropped": 0}
    assert value(registry, "results_total", flow="flow") == 5
    assert value(registry, "item_seconds_count", flow="flow", stage="last") == 5


async def test_runs_of_a_flow_are_added_up_at_once_and_in_turn():
    registry = CollectorRegistry()
    collector = RunCollector(registry)
    for _ in range(3):
        await asyncio.gather(*(watched(collector) for _ in range(2)))
    assert value(registry, "items_total", flow="flow", stage="numbers", outcome="sent") == 60
    assert value(registry, "runs", flow="flow") == 0
    assert value(registry, "item_seconds_count", flow="flow", stage="last") == 30
    # Nothing stands in a run that is over.
    assert value(registry, "workers", flow="flow", stage="last") is None


async def test_a_run_that_lives_is_seen_from_another_thread():
    registry = CollectorRegistry()
    collector = RunCollector(registry)
    async with FLOW.stream() as run:
        with collector.watching(run, "mine"):
            await anext(run)
            text = await asyncio.to_thread(generate_latest, registry)
            names = {family.name for family in text_string_to_metric_families(text.decode())}
            assert {"asyncdataflow_items", "asyncdataflow_worker_seconds", "asyncdataflow_runs"} <= names
            assert value(registry, "runs", flow="mine") == 1
            assert value(registry, "workers", flow="mine", stage="odd_fails") == 1
            assert value(registry, "capacity", flow="mine", stage="odd_fails") == 128


async def test_an_error_that_nothing_can_be_written_to_comes_out_as_itself():
    registry = CollectorRegistry()
    collector = RunCollector(registry)
    with pytest.raises(FrozenError):
        async with FLOW.stream() as run:
            with collector.watching(run):
                raise FrozenError("own")
    assert value(registry, "runs", flow="flow") == 0


async def test_a_loop_that_is_blocked_holds_no_scrape_up(monkeypatch):
    monkeypatch.setattr("asyncdataflow.observe.watched._PATIENCE", 0.01)
    registry = CollectorRegistry()
    collector = RunCollector(registry)
    async with FLOW.stream() as run:
        with collector.watching(run):
            await anext(run)
            seen = []
            scrape = threading.Thread(target=lambda: seen.append(value(registry, "runs", flow="flow")))
            scrape.start()
            scrape.join()
            assert seen == [1]


async def test_a_scrape_that_is_not_read_to_its_end_holds_no_run_up():
    collector = RunCollector(None)
    async with FLOW.stream() as run:
        with collector.watching(run):
            read = collector.collect()
            next(read)
            assert collector._lock.acquire(blocking=False)
            collector._lock.release()
            assert len(list(read)) > 1


async def test_a_loop_that_is_blocked_is_waited_for_once(monkeypatch):
    waits = []

    class Answer(concurrent.futures.Future):
        def result(self, timeout=None):
            waits.append(timeout)
            return super().result(timeout)

    monkeypatch.setattr("asyncdataflow.observe.watched._PATIENCE", 0.05)
    monkeypatch.setattr("asyncdataflow.observe.watched.concurrent.futures.Future", Answer)
    collector = RunCollector(None)
    async with AsyncExitStack() as stack:
        for _ in range(5):
            stack.enter_context(collector.watching(await stack.enter_async_context(FLOW.stream())))
        scrape = threading.Thread(target=lambda: list(collector.collect()))
        scrape.start()
        scrape.join()
    assert len(waits) == 5
    assert sum(waits) < 0.06


async def test_what_a_run_cannot_say_is_raised_to_who_scrapes():
    class Broken(Told):
        def stats(self):
            if self.now is None:
                raise LookupError
            return self.now

    run, collector = Broken("flow", {}), RunCollector(None)
    with collector.watching(run):
        known, run.now = run.now, None
        with pytest.raises(LookupError):
            await asyncio.to_thread(list, collector.collect())
        run.now = known


async def test_no_secret_is_shown():
    secret = "canary-4711"

    async def make(n, *, token):
        for _ in range(n):
            yield {"secret": token}

    async def fails(item):
        raise LookupError(item["secret"])

    async def passes(item, *, token):
        return item

    registry = CollectorRegistry()
    collector = RunCollector(registry)
    letters = dead_letter(stage(lambda letter: None, name="letters"))
    flow = DataFlow(
        (make, (stage(fails, on_error=letters), passes)), name="flow", resources={"token": secret}
    )
    await watched(collector, flow, params={"n": 3})
    assert secret not in generate_latest(registry).decode()
    assert "letters" in generate_latest(registry).decode()


class Told:
    """A run that says what it is told to."""

    def __init__(self, name, stages):
        self.name = name
        self.now = RunStats("running", stages, 0, 0, 0.0)

    def stats(self):
        return self.now


async def test_labels_are_capped():
    registry = CollectorRegistry()
    collector = RunCollector(registry, most=3)
    run = Told("x" * 1000, {f"{n}{'y' * 500}": StageStats(received=1) for n in range(10)})
    with collector.watching(run):
        (items,) = (each for each in collector.collect() if each.name == "asyncdataflow_items")
        assert len({each.labels["stage"] for each in items.samples}) == 3
        assert max(len(label) for each in items.samples for label in each.labels.values()) == 100
        assert value(registry, "stages_left_out") == 7


async def test_a_counter_never_goes_back():
    registry = CollectorRegistry()
    run = Told("flow", {"work": StageStats(busy=5, latency=Histogram(2, 1.0, ((10, 2),)))})
    with RunCollector(registry).watching(run):
        assert value(registry, "worker_seconds_total", flow="flow", stage="work", state="busy") == 5
        run.now = RunStats("running", {"work": StageStats(busy=4)}, 0, 0, 0.0)
        assert value(registry, "worker_seconds_total", flow="flow", stage="work", state="busy") == 5
        assert value(registry, "item_seconds_count", flow="flow", stage="work") == 2
