"""A stage that swallows its cancellation holds up no caller that has no loop of its own."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.programs import Program

FLOW = """
    import asyncio
    from asyncdataflow import DataFlow
    from asyncdataflow._runtime import execution

    execution.GRACE = 0.1

    async def numbers():
        for n in range(3):
            yield n

    async def stubborn(n):
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass

    async def fail(n):
        await asyncio.sleep(0.05)
        raise ValueError("the stage's")

    flow = DataFlow((numbers, (stubborn, fail)))
    try:
        {way}
    except ValueError as error:
        print(error, "did not end within" in "".join(error.__notes__))
"""

WAYS = {
    "flow()": "flow()",
    "for": "[*flow.iterate()]",
    "with": "with flow.iterate() as results: next(results)",
}


@pytest.fixture
def started():
    """Starts a program whose pipes are closed when the test is over."""
    with ExitStack() as stack:

        def start(script):
            program = Program(script)
            stack.enter_context(program.process)
            return program

        yield start


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_error_comes_out_and_what_is_left_is_named(started, way):
    program = started(FLOW.format(way=way))
    assert program.end() == 0, program.err
    assert program.out == "the stage's True\n"


def test_what_is_left_otherwise_is_waited_for(started):
    """Of a task that a stage has started the flow knows nothing: it has the time that it needs."""
    program = started("""
        import asyncio
        from asyncdataflow import DataFlow

        started = []

        async def slow_to_end():
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.05)
                print("ended")

        async def work(x):
            started.append(asyncio.create_task(slow_to_end()))
            await asyncio.sleep(0)
            return x

        print(DataFlow((work, str))(x=1))
    """)
    assert program.end() == 0, program.err
    assert program.out == "ended\n1\n"
