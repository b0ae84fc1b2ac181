"""What the layer is, beside doing as 0.0.1 does: see ``test_side_by_side.py`` for that."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from asyncdataflow import compat
from asyncdataflow.compat import DataFlow, amapper, fdispatch


async def foo(a):
    return {"b": a + 1}


def bar(b):
    return {"c": b * 10}


async def test_functions_of_both_kinds_run_one_after_the_other():
    assert await DataFlow((foo, bar))(a=1) == {"c": 20}


@pytest.mark.parametrize(
    ("visibility", "expected"),
    [("None", {"c": 20}), ("Initial", {"c": 20, "a": 1}), ("All", {"c": 20, "b": 2, "a": 1})],
)
async def test_visibility_says_what_is_passed_on(visibility: str, expected: dict[str, int]):
    assert await DataFlow((foo, bar), args_visibility=visibility)(a=1) == expected


def test_the_same_flow_runs_in_successive_loops_and_many_times_at_once():
    dataflow = DataFlow((foo, (bar, foo), bar))

    async def many() -> Any:
        return await asyncio.gather(*(dataflow(a=number) for number in range(5)))

    expected = [{"c": (number + 1) * 10} for number in range(5)]
    assert asyncio.run(many()) == asyncio.run(many()) == expected


async def test_nothing_runs_in_the_default_executor():
    class Forbidden(ThreadPoolExecutor):
        def submit(self, *_args: Any, **_kwargs: Any) -> Any:
            raise AssertionError("the loop's default executor was used")

    names = []

    def where(a):
        names.append(threading.current_thread())
        return {"a": a}

    asyncio.get_running_loop().set_default_executor(Forbidden(1))
    await DataFlow((where, (where, (where,)), where))(a=1)
    assert len(names) == 4
    assert threading.main_thread() not in names


async def test_coroutine_functions_of_a_group_run_beside_each_other():
    barrier = asyncio.Barrier(2)

    async def left(a):
        async with asyncio.timeout(10), barrier:
            return {"left": a}

    async def right(a):
        async with asyncio.timeout(10), barrier:
            return {"right": a}

    assert await DataFlow(((left, right),))(a=1) == {"left": 1, "right": 1}


async def test_plain_functions_of_a_group_run_beside_each_other():
    barrier = threading.Barrier(2, timeout=10)

    def left(a):
        barrier.wait()
        return {"left": a}

    def right(a):
        barrier.wait()
        return {"right": a}

    assert await DataFlow(((left, right),))(a=1) == {"left": 1, "right": 1}


async def test_a_nested_tuple_runs_at_its_place_and_what_it_returns_is_for_those_behind():
    begun, inside = asyncio.Event(), asyncio.Event()
    order = []

    async def before(a):
        begun.set()
        await inside.wait()
        order.append("before")
        return {"before": a}

    async def nested(a):
        await begun.wait()  # a function in front of it has begun, and is not waited for
        order.append("nested")
        return {"b": a + 1}

    async def behind(b):
        order.append("behind")
        inside.set()
        return {"behind": b}

    result = await DataFlow(((before, (nested,), behind),))(a=1)
    assert order == ["nested", "behind", "before"]
    assert result == {"before": 1, "behind": 2}


async def test_a_group_of_nested_tuples_alone_returns_what_the_last_of_them_does():
    assert await DataFlow((((foo,), (bar,)),))(a=1) == {"c": 20}


async def test_the_first_failure_in_order_is_raised_however_late_it_comes():
    late = asyncio.Event()

    async def slow(a):
        await late.wait()
        raise ValueError("first in order")

    async def fast(a):
        late.set()
        raise KeyError("first in time")

    with pytest.raises(ValueError, match="first in order"):
        await DataFlow(((slow, fast),))(a=1)


async def test_a_failure_does_not_wait_for_those_behind_it_which_are_cancelled():
    ended = []

    async def fails(a):
        await begun.wait()
        raise ValueError("now")

    async def for_ever(a):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    begun = asyncio.Event()
    with pytest.raises(ValueError, match="now"):
        await asyncio.wait_for(DataFlow(((fails, for_ever),))(a=1), 10)
    assert ended == ["cancelled"]


async def test_cancelling_the_call_cancels_what_runs():
    begun, ended = asyncio.Event(), []

    async def for_ever(a):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    call = asyncio.ensure_future(DataFlow((foo, ((for_ever, bar),)), args_visibility="All")(a=1))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended == ["cancelled"]


async def test_calls_at_once_do_not_see_each_others_initial_arguments():
    entered = asyncio.Barrier(2)

    async def meet(a):
        async with asyncio.timeout(10), entered:
            return {"b": a}

    dataflow = DataFlow((meet,), args_visibility="Initial")
    assert await asyncio.gather(dataflow(a=1), dataflow(a=2)) == [{"b": 1, "a": 1}, {"b": 2, "a": 2}]


async def test_for_ever_begins_again_with_the_same_arguments_until_told_otherwise():
    seen = []

    async def count(a):
        seen.append(a)
        dataflow.run_forever = len(seen) < 3
        return {"a": a + len(seen)}

    dataflow = DataFlow((count,), run_forever=True)
    assert await dataflow(a=1) == {"a": 4}
    assert seen == [1, 1, 1]


async def test_the_returned_dict_itself_comes_back():
    returned = {"z": 0}

    async def same(a):
        return returned

    assert await DataFlow((same,), args_visibility="Initial")(a=1) is returned
    assert returned == {"z": 0, "a": 1}


async def test_arguments_may_be_called_as_the_methods_of_0_0_1_call_theirs():
    async def takes(dataflow, task):
        return {"self": dataflow + task}

    assert await DataFlow((takes, (takes,)))(self=0, dataflow=1, task=2) == {"self": 3}


async def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]):
    await DataFlow(((foo, bar),))(a=1, b=2)
    assert capsys.readouterr() == ("", "")


async def test_a_coroutine_that_a_plain_function_returns_is_no_dict():
    coroutine = foo(1)

    def plain(a):
        return coroutine

    with pytest.raises(compat.DataFlowFunctionResultError, match="Function plain must return dictionary"):
        await DataFlow((plain,))(a=1)
    coroutine.close()


@pytest.mark.parametrize("shape", ["sequence", "group"])
async def test_a_plain_function_that_raises_stop_iteration_does_not_hang(shape: str):
    def stops(a):
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await DataFlow((stops,) if shape == "sequence" else ((stops, foo),))(a=1)


async def test_a_plain_function_sees_the_callers_context():
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("seen")

    def plain(a):
        return {"a": variable.get()}

    assert await DataFlow((plain,))(a=1) == {"a": "seen"}


async def test_a_user_sees_the_exception_itself():
    failure = ValueError("mine")

    async def fails(a):
        raise failure

    for definition in ((fails,), ((fails, foo),), (((fails, foo), bar), bar)):
        with pytest.raises(ValueError, match="mine") as caught:
            await DataFlow(definition)(a=1)
        assert caught.value is failure
        (note,) = failure.__notes__  # of nothing else that failed
        assert "in stage fails" in note
        failure.__notes__.clear()


async def test_what_is_mapped_is_passed_over_by_a_flow_and_maps_when_called():
    def both(a, b):
        return a, b

    mapped = amapper(both, input={"a": "x"}, output=("first", "second"))
    assert mapped(x=1, b=2) == {"first": 1, "second": 2}
    assert await DataFlow((mapped,))(a=1, b=2, x=3) == {"a": 1, "b": 2, "x": 3}


async def test_what_is_dispatched_is_the_registered_function_itself():
    @fdispatch
    def read(kind):
        """Read it."""

    @read.register("foo")
    async def registered(a):
        return {"c": a}

    assert registered is None
    assert (read.__name__, read.__doc__) == ("read", "Read it.")
    assert list(read.registry) == ["", "foo"]
    assert await DataFlow((read("foo"),))(a=1) == {"c": 1}


def test_an_exception_says_what_it_says_in_message_too():
    with pytest.raises(compat.DataFlowNotCallableError) as caught:
        DataFlow((foo, None))
    assert caught.value.message == str(caught.value) == caught.value.args[0]
    assert isinstance(caught.value, compat.DataFlowDefinitionError)


def test_every_public_name_is_there_under_both_paths():
    assert set(compat.exceptions.__all__) == set(compat.__all__) - {"DataFlow", "amapper", "fdispatch"}
    for name in compat.exceptions.__all__:
        assert getattr(compat, name) is getattr(compat.exceptions, name)
