"""A decorated function is still that function, and a decorated method that method (section 4)."""

from __future__ import annotations

import pytest

from asyncdataflow import DataFlow, stage


@stage(name="limited")
def limited(limit=3):
    return list(range(limit))


@stage(concurrency=2)
def scaled(item, factor=1, *, offset=0):
    return item * factor + offset


@stage(name="awaited")
async def awaited(item):
    return item + 1


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (limited, [0, 1, 2]),
        (lambda: limited(1), [0]),
        (lambda: limited(limit=2), [0, 1]),
        (lambda: scaled(2), 2),
        (lambda: scaled(item=2), 2),
        (lambda: scaled(2, 3), 6),
        (lambda: scaled(offset=1, item=2, factor=3), 7),
        (lambda: stage(lambda self, item: (self, item))(self=1, item=2), (1, 2)),
    ],
)
def test_it_is_called_as_the_function_is(call, result):
    assert call() == result


async def test_what_is_awaited_is_still_awaited():
    assert await awaited(1) == 2
    assert await awaited(item=1) == 2


def test_a_wrong_call_is_the_functions_own_error():
    with pytest.raises(TypeError, match="item"):
        scaled()


class Scale:
    def __init__(self, factor):
        self.factor = factor

    @stage
    def bare(self, item):
        return item * self.factor

    @stage(concurrency=2, name="optioned")
    def optioned(self, item):
        return item * self.factor

    @stage
    async def on_the_loop(self, item):
        return item * self.factor

    @stage(many=True)
    def times(self, item):
        return [item] * self.factor

    fixed = stage(print, name="a builtin is no method")


class TestAMethod:
    @pytest.mark.parametrize("name", ["bare", "optioned"])
    def test_it_is_called_as_the_method_is(self, name):
        assert getattr(Scale(3), name)(2) == 6
        assert getattr(Scale(3), name)(item=2) == 6

    @pytest.mark.parametrize(
        ("name", "result"),
        [
            ("bare", [0, 3, 6]),
            ("optioned", [0, 3, 6]),
            ("on_the_loop", [0, 3, 6]),
            ("times", [0] * 3 + [1] * 3 + [2] * 3),
        ],
    )
    def test_it_is_a_stage_of_its_object(self, name, result):
        assert DataFlow((range(3), getattr(Scale(3), name)))() == result

    def test_two_objects_do_not_mix(self):
        assert DataFlow((range(3), Scale(2).bare, Scale(5).bare))() == [0, 10, 20]

    def test_its_options_are_kept(self):
        bound = Scale(3).optioned
        assert (bound.name, bound.concurrency) == ("optioned", 2)

    def test_on_the_class_it_is_the_stage_itself(self):
        assert Scale.bare is vars(Scale)["bare"]
        assert Scale.bare(Scale(3), 2) == 6

    def test_what_is_no_function_of_the_class_is_not_bound(self):
        assert Scale(3).fixed is Scale.fixed
