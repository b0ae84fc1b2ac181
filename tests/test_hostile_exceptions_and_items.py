"""Exceptions and items that fight back hide no error and hang no run (invariants 21, 36)."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools

import pytest

from asyncdataflow import (
    DataFlow,
    balance,
    batch,
    combine_latest,
    dead_letter,
    filter_,
    flatten,
    merge,
    partition,
    route,
    scan,
    split,
    stage,
    take,
    until,
    zip_,
)


async def numbers(limit=4):
    for number in range(limit):
        yield number


async def same(item):
    return item


def same_in_thread(item):
    return item


class NoNotesError(Exception):
    def add_note(self, note):
        raise RuntimeError("no notes here")


class NotesAreNotCallableError(Exception):
    add_note = None


class StrangeNotesError(Exception):
    __notes__ = "not a list"


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """A real habit: notes and context cannot be set on it."""

    code: int = 1


class NoTextError(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class EqualToAllError(Exception):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 1


class EqualToNoneError(Exception):
    def __eq__(self, other):
        raise RuntimeError("not comparable")

    __hash__ = None


class NeedsArgumentsError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


class FalsyError(Exception):
    def __bool__(self):
        return False

    def __len__(self):
        raise RuntimeError("no length")


HOSTILE = [
    NoNotesError,
    NotesAreNotCallableError,
    StrangeNotesError,
    FrozenError,
    NoTextError,
    EqualToAllError,
    EqualToNoneError,
    NeedsArgumentsError,
    FalsyError,
]


def make(kind):
    return kind(1, 2) if kind is NeedsArgumentsError else kind()


def raising(kind, where):
    """A definition with a stage that raises it at its second item."""

    def function(item):
        if item == 1:
            raise make(kind)
        return item

    async def coroutine(item):
        return function(item)

    async def source():
        for number in itertools.count():
            yield function(number)

    return {"loop": (numbers, coroutine), "thread": (numbers, function), "source": (source, same)}[where]


@pytest.mark.parametrize("kind", HOSTILE)
class TestExceptions:
    @pytest.mark.parametrize("where", ["loop", "thread", "source"])
    def test_it_comes_out_as_itself(self, kind, where):
        flow = DataFlow(raising(kind, where))
        with pytest.raises(kind):
            list(flow.iterate())

        # Caught in here: asyncio.run itself breaks over a task whose exception has no repr.
        async def main():
            with pytest.raises(kind):
                await flow.run()
            async with flow.stream() as run:
                with pytest.raises(kind):
                    async for _ in run:
                        pass
                assert [type(each) for each in run.failures] == [kind]
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    @pytest.mark.parametrize("where", ["loop", "thread"])
    def test_a_synchronous_call_raises_the_same_object_and_leaves_asyncio_whole(self, kind, where):
        error = make(kind)

        def fails():
            raise error

        async def fails_on_the_loop():
            fails()

        flow = DataFlow(fails if where == "thread" else fails_on_the_loop)
        with pytest.raises(kind) as caught:
            flow()
        assert caught.value is error
        assert asyncio.run(same(1)) == 1

    @pytest.mark.parametrize("options", [{"on_error": "skip"}, {"retry": 2, "on_error": "skip"}], ids=str)
    def test_it_can_be_skipped(self, kind, options):
        source, fails = raising(kind, "loop")
        policies = options | ({"retry": None} if "retry" not in options else {})
        assert DataFlow((source, stage(fails, **policies)))() == [0, 2, 3]

    def test_it_can_be_sent_to_a_sink(self, kind):
        letters = []
        source, fails = raising(kind, "loop")
        assert DataFlow((source, stage(fails, on_error=dead_letter(letters.append))))() == [0, 2, 3]
        assert [(each.item, type(each.error)) for each in letters] == [(1, kind)]

    def test_many_together_come_to_an_end(self, kind):
        async def main():
            barrier = asyncio.Barrier(3)

            async def fails(item):
                await barrier.wait()
                raise make(kind)

            run = DataFlow((numbers, stage(fails, concurrency=3, ordered=False))).stream()
            with pytest.raises(kind):
                async for _ in run:
                    pass
            assert [type(each) for each in run.failures] == [kind] * 3

        asyncio.run(main())

    def test_one_in_a_clean_up_comes_to_an_end(self, kind):
        async def source():
            try:
                for number in itertools.count():
                    yield number
            finally:
                raise make(kind)

        async def main():
            with pytest.raises(kind):
                async with DataFlow((source, same)).stream() as run:
                    await anext(run)

        asyncio.run(main())

    def test_a_body_that_raises_it_wins(self, kind):
        async def source():
            try:
                for number in itertools.count():
                    yield number
            finally:
                raise LookupError("the run's")

        async def main():
            with pytest.raises(kind):
                async with DataFlow((source, same)).stream() as run:
                    await anext(run)
                    raise make(kind)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    def test_a_synchronous_body_that_raises_it_wins(self, kind):
        def source():
            try:
                yield from itertools.count()
            finally:
                raise LookupError("the run's")

        with pytest.raises(kind), DataFlow((source, same)).iterate() as results:
            next(results)
            raise make(kind)


class Hostile:
    """Every question that a library might ask of an item it only carries is answered by an error."""

    def _refuse(self, *_):
        raise RuntimeError("an item was looked into")

    __eq__ = __ne__ = __lt__ = __hash__ = __bool__ = __len__ = __iter__ = _refuse
    __repr__ = __str__ = __format__ = __contains__ = __getitem__ = _refuse
    __getattr__ = _refuse


class HugeText(str):
    """A long repr costs memory and leaks contents."""

    __slots__ = ()

    def __repr__(self):
        raise RuntimeError("an item was written out")

    __str__ = __repr__


KINDS = [Hostile, lambda: HugeText("x" * 10_000_000)]


async def touch_nothing(item):
    return item


FLOWS = {
    "coroutines": (touch_nothing, touch_nothing),
    "threads": (same_in_thread, stage(same_in_thread, name="again", concurrency=3)),
    "inline": (stage(same_in_thread, executor="inline"),),
    "ordered workers": (stage(same, concurrency=3),),
    "workers in any order": (stage(same, concurrency=3, ordered=False),),
    "by key": (stage(same, concurrency=3, key=id),),
    "timeout": (stage(same, timeout=1000),),
    "retry": (stage(same, retry=3),),
    "skip": (stage(same, on_error="skip"),),
    "drops": (stage(same, overflow="drop_oldest", buffer=8),),
    "filter": (filter_(lambda item: True),),
    "flatten": (lambda item: [item], flatten),
    "take": (take(3),),
    "until": (until(lambda item: False),),
    "batch": (batch(2), flatten),
    "scan": (scan(lambda so_far, item: item, None),),
    "route": (route(lambda item: "same"), (same, same_in_thread)),
    "balance": (balance, (same, same_in_thread)),
    "partition": (partition(id), (same, same_in_thread)),
    "split and zip": (split(lambda item: (item, item)), (same, same_in_thread), zip_, lambda pair: pair[0]),
    "broadcast and zip by signature": ((same, same_in_thread), lambda one, other: one),
    "broadcast and merge": (
        (same, stage(lambda item: None, name="gone")),
        merge,
        filter_(lambda i: i is not None),
    ),
    "combine": ((same, same_in_thread), combine_latest, lambda pair: pair[0], take(3)),
}


@pytest.mark.parametrize("flow", FLOWS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=["hostile", "huge"])
async def test_items_are_carried_and_never_looked_into(flow, kind):
    items = [kind() for _ in range(3)]
    definition = FLOWS[flow]
    results = await DataFlow(definition).run(items=iter(items))
    assert len(results) == 3
    assert all(any(result is item for item in items) for result in results)


@pytest.mark.parametrize("kind", KINDS, ids=["hostile", "huge"])
def test_a_single_value_is_not_looked_into_either(kind):
    item = kind()

    async def get():
        return item

    assert DataFlow((get, same))() is item
    one, other = DataFlow((get, (same, same_in_thread)))()
    assert one is other is item


@pytest.mark.parametrize("where", ["loop", "thread"])
def test_the_note_on_an_error_does_not_ask_a_hostile_item(where):
    async def fails(item):
        raise LookupError("mine")

    def fails_in_thread(item):
        raise LookupError("mine")

    async def source():
        yield Hostile()

    with pytest.raises(LookupError) as caught:
        DataFlow((source, fails if where == "loop" else fails_in_thread))()
    assert any("Hostile" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("spread", [lambda a, b: None, lambda a, b, c: None])
def test_a_hostile_item_that_cannot_be_spread_is_that_items_error(spread):
    async def source():
        yield Hostile()

    with pytest.raises(TypeError):
        DataFlow((source, spread))()


SIGNS = {
    "None": None,
    "False": False,
    "0": 0,
    "no text": "",
    "no tuple": (),
    "an exception": ValueError("an item"),
    "a stop": StopIteration(),
    "a cancellation": asyncio.CancelledError(),
    "a type": type,
    "an ellipsis": ...,
    "not implemented": NotImplemented,
    "a huge number": 10**5000,
}


@pytest.mark.parametrize("item", SIGNS.values(), ids=SIGNS)
@pytest.mark.parametrize("middle", [same, same_in_thread, stage(same, concurrency=3), batch(1)])
async def test_nothing_is_taken_for_a_sign(item, middle):
    """Invariant 21: no in-band sentinels; only a returned ``None`` is no result."""

    def wrapped(value):
        return (value,)

    results = await DataFlow((middle, wrapped)).run(items=[item, item])
    assert results in ([(item,), (item,)], [([item],), ([item],)])
    assert results[0][0] is item or results[0][0][0] is item
