"""A source that is answered gives items again as a broker does, and hears of each message once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from asyncdataflow import AckableSource, DataFlow, Message, TransactionalSink, stage
from asyncdataflow.abc import Instrument
from asyncdataflow.policy import Restart
from asyncdataflow.testing import Faults, QueueSource, simulate

REPEATING = (Faults(reconnects=0.3), Faults(redelivers=0.5), Faults(reconnects=0.2, redelivers=0.2))
COUNT = 6


async def slowly(n):
    await asyncio.sleep(0.1 * (n % 3))
    return n


class Told(QueueSource):
    """Keeps what came between it and the flow."""

    def __init__(self, **options):
        super().__init__(range(COUNT), on_answer=self._note, **options)
        self.answers = []

    def _note(self, answer):
        self.answers.append(answer)


@pytest.mark.parametrize("most", [1, 2, 1000])
@pytest.mark.parametrize("faults", REPEATING, ids=repr)
def test_a_queue_hears_of_each_item_once(faults, most):
    made = []

    def make():
        made.append(Told(max_unacked=most))
        return DataFlow((made[-1], stage(slowly, concurrency=2)))

    def complete(results):
        assert set(results) == set(range(COUNT))
        assert made[-1].left == []
        assert sorted(made[-1].acked) == list(range(COUNT))

    report = simulate(make, check=complete, seeds=50, faults=faults).raise_for_failures()
    assert report.ended == {"completed": 50}
    assert all(report.struck[kind] for kind in ("reconnects", "redelivers") if getattr(faults, kind))


@pytest.mark.parametrize("faults", REPEATING, ids=repr)
def test_a_run_that_is_cut_short_leaves_no_message_without_an_answer(faults):
    made = []

    def make():
        if made:
            _each_is_answered(made[-1])
        made.append(_Counted(range(COUNT)))
        return DataFlow((made[-1], stage(slowly, concurrency=2)))

    cut = Faults(**{**_shares(faults), "drains": 0.4, "stops": 0.3, "leaves": 0.3})
    report = simulate(make, seeds=100, faults=cut).raise_for_failures()
    _each_is_answered(made[-1])
    assert report.ended["cut short"]


def _shares(faults):
    return {kind: getattr(faults, kind) for kind in ("reconnects", "redelivers")}


def _each_is_answered(source):
    assert [each.position for each in source.given] == list(range(len(source.given)))
    told = [answer.message for answer in source.told]
    assert sorted(map(id, told)) == sorted(map(id, source.given))


class _Counted(AckableSource):
    """Knows its very messages, and looks at neither items nor positions."""

    def __init__(self, items):
        self.items = list(items)
        self.given = []
        self.told = []

    @asynccontextmanager
    async def open(self, after=None):
        yield self

    async def __aiter__(self):
        for position, item in enumerate(self.items):
            self.given.append(Message(item, position, headers={"n": str(item)}))
            yield self.given[-1]

    async def answer(self, answers):
        self.told += answers


class Seen(Instrument):
    """Keeps the messages as the flow gets them."""

    def __init__(self):
        self.messages = []

    def begin(self, flow, source, message):
        self.messages.append(message)

    def call(self, stage, attempt, traces):
        raise AssertionError("it follows none")

    def settled(self, trace, error):
        raise AssertionError("it follows none")


def test_what_comes_again_is_another_message_of_the_same_item():
    made = []

    def make():
        made.append(Seen())
        return DataFlow((_Counted(range(COUNT)), slowly), instruments=(made[-1],))

    def again(_):
        messages = made[-1].messages
        told = [(each.item, each.position, each.headers) for each in messages]
        assert told == [(n, n, {"n": str(n)}) for n in range(COUNT) for _ in range(2)]
        assert len(set(map(id, messages))) == 2 * COUNT

    simulate(make, check=again, seeds=5, faults=Faults(redelivers=1.0)).raise_for_failures()


def test_what_is_said_of_deliveries_before_a_reconnection_counts_for_nothing():
    """A run that is drained meanwhile has results of items that its source still has."""
    made, both = [], []

    def make():
        made.append(QueueSource(range(COUNT)))
        return DataFlow((made[-1], slowly))

    def all_is_somewhere(results):
        assert {*results, *made[-1].left} == set(range(COUNT))
        both.extend(set(results) & set(made[-1].left))

    faults = Faults(reconnects=0.5, drains=1.0)
    report = simulate(make, check=all_is_somewhere, seeds=50, faults=faults).raise_for_failures()
    assert report.struck["reconnects"]
    assert both


class Store(TransactionalSink):
    """Keeps items and positions."""

    def __init__(self):
        self.items = []
        self.stored = {}

    @asynccontextmanager
    async def open(self):
        yield self

    async def positions(self, source):
        return dict(self.stored.get(source, {}))

    async def write(self, items, positions):
        await asyncio.sleep(0.1)
        self.items += items
        for source, each in positions.items():
            self.stored.setdefault(source, {}).update(each)


def test_what_a_sink_keeps_the_positions_of_does_not_come_again():
    made = []

    def make():
        made.append(Store())
        return DataFlow((QueueSource(range(COUNT)), slowly, made[-1]))

    def once(_):
        assert made[-1].items == list(range(COUNT))

    faults = Faults(slow=0.2, reconnects=0.5, redelivers=0.5)
    report = simulate(make, check=once, seeds=20, faults=faults).raise_for_failures()
    assert set(report.struck) == {"slow"}


def test_a_source_that_is_answered_ends_early():
    def make():
        return DataFlow((QueueSource(range(COUNT)), slowly))

    def first_ones(results):
        assert results == list(range(len(results)))

    report = simulate(make, check=first_ones, seeds=20, faults=Faults(ends_early=0.2)).raise_for_failures()
    assert report.struck["ends_early"]


class _Breaking(_Counted):
    """Its first session breaks when it is told something."""

    def __init__(self, items):
        super().__init__(items)
        self.max_unacked = 2
        self.sessions = self.told_in_vain = 0

    @asynccontextmanager
    async def open(self, after=None):
        self.sessions += 1
        yield self

    async def answer(self, answers):
        if self.sessions == 1:
            self.told_in_vain += 1
            raise ConnectionError("it is gone")
        await super().answer(answers)


def test_a_session_that_could_not_be_told_is_told_nothing_more():
    made = []

    def make():
        made.append(_Breaking(range(COUNT)))
        restart = Restart(attempts=1, first=1)
        return DataFlow((stage(made[-1], restart=restart), stage(slowly, concurrency=2)))

    def once(_):
        assert made[-1].told_in_vain == 1

    report = simulate(make, check=once, seeds=50, faults=Faults(reconnects=0.5)).raise_for_failures()
    assert report.ended == {"completed": 50}
