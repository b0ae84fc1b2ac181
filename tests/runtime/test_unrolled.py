"""The loop of a walk, written out: what it does with items, and that it can be told where it is."""

from __future__ import annotations

import asyncio
import functools
import itertools
import traceback

import pytest

from asyncdataflow._runtime.receipts import NOBODY, Nobody
from asyncdataflow._runtime.tracked import tracked
from asyncdataflow._runtime.unrolled import Unrolled
from asyncdataflow.testing.virtual_clock import run_virtual as run

NOTHING = object()
SHAPES = [shape for length in (1, 2, 4) for shape in itertools.product([True, False], repeat=length)]
IN_ANY_SHAPE = pytest.mark.parametrize(
    "shape", SHAPES, ids=lambda shape: "".join("ca"[each] for each in shape)
)


class Walker:
    """Writes down what it is asked."""

    def __init__(self, *functions, shape=None, none=NOTHING, tracked=False):
        self.laid = []
        self.asked = []
        self.kinds = set()
        self.is_disturbed = False
        self.line = None
        self.raised = None
        self.is_own = True
        awaited = [True] * len(functions) if shape is None else shape
        self.loop = Unrolled(
            functions, awaited, lay=self.laid.append, none=none, kinds=self.kinds, tracked=tracked
        )

    def walk(self, items):
        self.walking = self.loop.walk(self, iter(items))
        return self.walking

    @property
    def place(self):
        return self.loop.place(self.walking.cr_frame.f_lineno)

    def disturb(self):
        self.is_disturbed = True
        self.loop.stop()

    def accepts(self, result):
        if self.is_disturbed:
            return False
        self.asked.append(type(result))
        self.kinds.add(type(result))
        return True

    def own_error(self, raised):
        self.raised = self.loop.place(raised.__traceback__.tb_lineno)
        return raised if self.is_own else None


def adding(shape, seen=lambda place, item: None):
    """Functions of these kinds, each of which tells its place and adds 10 to the power of it."""

    def function(place, awaits):
        async def awaited(item):
            seen(place, item)
            return item + 10**place

        def called(item):
            seen(place, item)
            return item + 10**place

        return awaited if awaits else called

    return [function(place, awaits) for place, awaits in enumerate(shape)]


class TestWhatItDoes:
    @IN_ANY_SHAPE
    def test_items_go_through_every_function_one_after_the_other(self, shape):
        seen = []
        walker = Walker(
            *adding(shape, lambda place, item: seen.append((item % 10**place, place))), shape=shape
        )
        assert run(walker.walk([0, 2, 4])) is None
        ones = sum(10**place for place in range(len(shape)))
        assert walker.laid == [ones, ones + 2, ones + 4]
        assert [place for _, place in seen] == list(range(len(shape))) * 3

    def test_a_sort_of_results_is_asked_about_once(self):
        walker = Walker(*adding([True]))
        run(walker.walk([1, 2, 3]))
        assert walker.asked == [int]

    def test_no_result_is_put_nowhere(self):
        walker = Walker(*adding([True]), none=2)
        run(walker.walk([0, 1, 2]))
        assert walker.laid == [1, 3]

    def test_what_a_plain_function_returns_may_have_to_be_awaited(self):
        walker = Walker(*adding([True]) * 2, shape=(False, False))
        run(walker.walk([1, 2, 3]))
        assert walker.laid == [3, 4, 5]

    def test_one_sort_of_result_is_asked_about_once_in_each_function_or_any(self):
        kinds = itertools.cycle([1, "a", None])

        async def any_of_them(item):
            return next(kinds)

        walker = Walker(any_of_them, any_of_them)
        run(walker.walk(range(9)))
        run(walker.walk(range(9)))
        assert len(walker.laid) == 18
        asked = [each for each in walker.asked if isinstance(each, type)]
        assert sorted(each.__name__ for each in asked) == ["NoneType", "int", "str"]


class TestWhereItIs:
    @IN_ANY_SHAPE
    def test_while_a_function_runs(self, shape):
        places = []
        walker = Walker(*adding(shape, lambda place, item: places.append(walker.place)), shape=shape)
        run(walker.walk([0, 0]))
        assert places == list(range(len(shape))) * 2

    @pytest.mark.parametrize("awaits", [True, False])
    def test_while_an_item_suspends(self, awaits):
        async def main():
            async def one(item):
                await asyncio.sleep(0)
                return item

            walker = Walker(*[one] * 3, shape=[awaits] * 3)
            task = asyncio.create_task(walker.walk([0]))
            places = []
            await asyncio.sleep(0)
            while not task.done():
                places.append(walker.place)
                await asyncio.sleep(0)
            return places

        assert run(main()) == [0, 1, 2]

    @IN_ANY_SHAPE
    def test_where_a_function_raises(self, shape):
        for failing in range(len(shape)):

            def fail(place, item, failing=failing):
                if place == failing:
                    raise ValueError(item)

            walker = Walker(*adding(shape, fail), shape=shape)
            error, item, made = run(walker.walk([5]))
            assert isinstance(error, ValueError)
            assert item == made == error.args[0] == 5 + sum(10**place for place in range(failing))
            assert walker.raised == failing
            assert walker.laid == []

    def test_where_a_result_is_refused(self):
        walker = Walker(*adding([False, False]), shape=(False, False))

        def accepts(result):
            if result > 10:
                raise ValueError
            return True

        walker.accepts = accepts
        run(walker.walk([0]))
        assert walker.raised == 1

    def test_where_what_is_to_be_awaited_raises_the_item_is_what_the_function_was_given(self):
        async def fail(item):
            raise ValueError(item)

        walker = Walker(*adding([True]), fail, shape=(False, False))
        error, item, _ = run(walker.walk([1]))
        assert isinstance(error, ValueError)
        assert item == 2
        assert walker.raised == 1

    @pytest.mark.parametrize("awaits", [True, False])
    def test_where_a_result_is_refused_the_item_is_what_the_function_was_given(self, awaits):
        walker = Walker(*adding([awaits]), shape=[awaits])

        def refuse(result):
            raise ValueError

        walker.accepts = refuse
        assert run(walker.walk([7]))[1] == 7

    def test_what_is_no_error_of_a_stage_is_raised(self):
        def fail(place, item):
            raise KeyboardInterrupt

        walker = Walker(*adding([False], fail), shape=[False])
        walker.is_own = False
        with pytest.raises(KeyboardInterrupt):
            walker.walk([1]).send(None)

    def test_a_traceback_shows_the_line(self):
        def fail(place, item):
            if place == 1:
                raise ValueError(item)

        error, _, _ = run(Walker(*adding([True, False, True], fail), shape=(True, False, True)).walk([1]))
        shown = "".join(traceback.format_exception(error))
        assert 'File "<stages in a row: await, call, await>"' in shown
        assert "result = function1(made)" in shown


class TestDisturbed:
    @IN_ANY_SHAPE
    def test_it_ends_behind_the_function_in_which_somebody_looks(self, shape):
        """Also where it had stopped asking about that sort of result."""
        for place in range(len(shape)):
            self.walker = Walker(*adding(shape, functools.partial(self._look, place)), shape=shape)
            ended = run(self.walker.walk([0, 0, 0, 0]))
            made = sum(10**here for here in range(place + 1))
            assert ended[0] is None
            assert ended[2] == made
            assert len(self.walker.laid) == 2

    def _look(self, place, here, item):
        if here == place and len(self.walker.laid) == 2:
            self.walker.disturb()

    def test_it_begins_again_as_if_nothing_had_been(self):
        walker = Walker(*adding([True, True]))
        run(walker.walk([1]))
        walker.disturb()
        walker.is_disturbed = False
        asked = len(walker.asked)
        run(walker.walk([1, 2]))
        assert walker.laid == [12, 12, 13]
        assert walker.asked[asked:] == []


class TestTracked:
    """The functions see what is in an item; the item itself leaves, is done with, or is handed back."""

    @IN_ANY_SHAPE
    def test_what_was_made_takes_its_place(self, shape):
        walker = Walker(*adding(shape), shape=shape, tracked=True)
        items = [tracked(number, NOBODY) for number in (0, 2)]
        assert run(walker.walk(items)) is None
        ones = sum(10**place for place in range(len(shape)))
        assert [each.item for each in walker.laid] == [ones, ones + 2]
        assert walker.laid == items

    def test_one_of_which_nothing_is_made_is_done_with(self):
        walker = Walker(*adding([True]), none=2, tracked=True)
        receipts = [Counted() for _ in range(3)]
        run(walker.walk([tracked(number, receipt) for number, receipt in enumerate(receipts)]))
        assert [each.item for each in walker.laid] == [1, 3]
        assert [each.settled for each in receipts] == [0, 1, 0]

    @IN_ANY_SHAPE
    def test_one_that_fails_holds_what_the_function_was_given(self, shape):
        for failing in range(len(shape)):

            def fail(place, item, failing=failing):
                if place == failing:
                    raise ValueError(item)

            item = tracked(5, NOBODY)
            walker = Walker(*adding(shape, fail), shape=shape, tracked=True)
            error, failed, _ = run(walker.walk([item]))
            assert failed is item
            assert item.item == error.args[0] == 5 + sum(10**place for place in range(failing))

    def test_one_that_is_disturbed_is_handed_back_beside_what_was_made(self):
        walker = Walker(*adding([False] * 2, lambda *_: walker.disturb()), shape=[False] * 2, tracked=True)
        item = tracked(0, NOBODY)
        assert run(walker.walk([item])) == (None, item, 1)


class Counted(Nobody):
    """A receipt that counts."""

    __slots__ = ("settled",)

    def __init__(self):
        self.settled = 0

    def settle(self):
        self.settled += 1


def test_one_text_serves_every_loop_of_a_shape():
    one, other, third = (
        Walker(*adding(shape), shape=shape) for shape in ((True, False),) * 2 + ((True, True),)
    )
    assert one.loop.walk.__code__ is other.loop.walk.__code__
    assert one.loop.walk.__code__ is not third.loop.walk.__code__
