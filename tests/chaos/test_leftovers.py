"""What will not end does not hold the program up, and Ctrl-C ends it cleanly (invariants 60, 62).

Each is a program of its own with a deadline: what hangs here would hang at a user's.
"""

from __future__ import annotations

import itertools
import signal
import textwrap

import pytest

from tests.programs import Program

PRELUDE = """
import asyncio, itertools, sys, threading, time
from asyncdataflow import DataFlow, stage

def say(word):
    sys.stdout.write(f"{word}\\n")  # in one piece, for threads that say something at once
    sys.stdout.flush()

async def endless():
    say("source opened")
    try:
        for number in itertools.count():
            yield number
            await asyncio.sleep(0)
    finally:
        say("source closed")

async def same(item):
    return item

never = threading.Event()
"""


@pytest.fixture
def program():
    started = []

    def start(script):
        started.append(Program(PRELUDE + textwrap.dedent(script)))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


STUCK = {
    "a stage": "lambda item: never.wait()",
    "a generator stage": "stage(stuck_many, name='stuck')",
    "a stage of several threads": "stage(lambda item: never.wait(), concurrency=4)",
}


class TestAThreadThatNeverEnds:
    @pytest.mark.parametrize("stuck", STUCK.values(), ids=STUCK)
    def test_is_named_and_left_behind(self, program, stuck):
        child = program(
            f"""
            def stuck_many(item):
                never.wait()
                yield item

            async def main():
                run = DataFlow((endless, {stuck})).stream()
                async with run:
                    await asyncio.sleep(0.2)
                    run.stop(timeout=0.2)

            try:
                asyncio.run(main())
            except TimeoutError as error:
                say(error)
            say("after the loop")
            """
        )
        assert child.end() == 0, child.err
        assert "after the loop" in child.out
        assert "thread" in child.out
        assert "never.wait()" in child.out or "in wait" in child.out, "the stack"

    def test_as_a_source_is_left_behind_as_well(self, program):
        child = program(
            """
            def source():
                yield 0
                never.wait()

            async def main():
                run = DataFlow((source, same)).stream()
                async with run:
                    await anext(run)
                    run.stop(timeout=0.2)

            try:
                asyncio.run(main())
            except TimeoutError as error:
                say(error)
            """
        )
        assert child.end() == 0, child.err
        assert "thread source-0" in child.out

    def test_that_comes_back_after_the_loop_has_gone_ends_quietly(self, program):
        child = program(
            """
            def stuck(item):
                never.wait()
                return item

            async def main():
                run = DataFlow((endless, stage(stuck, concurrency=3))).stream()
                async with run:
                    await asyncio.sleep(0.2)
                    run.stop(timeout=0.2)

            try:
                asyncio.run(main())
            except TimeoutError:
                pass
            left = [each for each in threading.enumerate() if each.name.startswith("stuck")]
            never.set()
            for each in left:
                each.join(20)
            say(f"{len(left)} left, {sum(each.is_alive() for each in left)} alive")
            """
        )
        assert child.end() == 0, child.err
        assert child.out.strip().endswith(", 0 alive")
        assert "3 left" in child.out
        assert "Traceback" not in child.err, child.err

    @pytest.mark.slow
    def test_holds_a_plain_call_up_for_the_grace_only(self, program):
        child = program(
            """
            def stuck(item):
                if item == 3:
                    raise KeyError(item)
                never.wait()

            began = time.monotonic()
            try:
                DataFlow((endless, stage(stuck, concurrency=4)))()
            except KeyError as error:
                say(error.__notes__)
            say(time.monotonic() - began < 15)
            """
        )
        assert child.end() == 0, child.err
        assert "True" in child.out
        assert "stuck" in child.out


RUNNING = {
    "a call": "flow()",
    "a stream": "asyncio.run(stream())",
    "a stream of several at once": "asyncio.run(several())",
    "an iteration": "for _ in flow.iterate(): pass",
    "an iteration in a block": """
with flow.iterate() as results:
    for _ in results: pass
""",
}

MIDDLES = {
    "on the loop": "same",
    "in threads": "stage(lambda item: item, concurrency=2)",
    "in a process": "stage(abs, executor='process')",
    "busy": "stage(lambda item: sum(range(20_000)) and item, executor='inline')",
}


def interruptions():
    """Every way with every kind of stage; in the quick suite each of them once."""
    for way, middle in itertools.product(RUNNING, MIDDLES):
        quick = way == "a call" or middle == "on the loop"
        marks = [] if quick else [pytest.mark.slow]
        yield pytest.param(RUNNING[way], MIDDLES[middle], id=f"{way} {middle}", marks=marks)


class TestCtrlC:
    @pytest.mark.parametrize(("way", "middle"), list(interruptions()))
    def test_ends_a_program_with_everything_closed(self, program, way, middle):
        body = textwrap.indent(textwrap.dedent(way).strip(), "    ")
        child = program(
            f"""
from contextlib import contextmanager

@contextmanager
def pool():
    say("pool opened")
    try:
        yield
    finally:
        say("pool closed")

async def told(item, *, pool):
    if item == 3:
        say("running")
    return None

flow = DataFlow((endless, {middle}, told), resources={{"pool": pool}})

async def stream():
    async with flow.stream() as run:
        async for _ in run:
            pass

async def several():
    await asyncio.gather(stream(), stream())

if __name__ == "__main__":
    try:
{textwrap.indent(body, "    ")}
    finally:
        say(f"{{threading.active_count()}} threads")
"""
        )
        child.wait_for("running")
        child.process.send_signal(signal.SIGINT)
        assert child.end() == -signal.SIGINT, child.err
        assert "KeyboardInterrupt" in child.err
        for what in ("source", "pool"):
            assert child.out.count(f"{what} closed") == child.out.count(f"{what} opened") >= 1, child.out
        assert "1 threads" in child.out
        for complaint in (
            "never retrieved",
            "never awaited",
            "was destroyed",
            "ResourceWarning",
            "Exception ignored",
        ):
            assert complaint not in child.err, child.err

    def test_may_be_caught_and_the_flow_run_again(self, program):
        child = program(
            """
            async def told(item):
                if item == 3:
                    say("running")
                return item

            flow = DataFlow((endless, told))
            try:
                flow()
            except KeyboardInterrupt:
                say("caught")
            with flow.iterate() as results:
                say(next(results))
            """
        )
        child.wait_for("running")
        child.process.send_signal(signal.SIGINT)
        assert child.end() == 0, child.err
        assert child.out.splitlines()[:4] == ["source opened", "running", "source closed", "caught"]
        again = child.out.splitlines()[4:]
        # The loop of the iteration goes on in its thread while the first result is told here.
        assert sorted(set(again) - {"running"}) == ["0", "source closed", "source opened"]
        assert (again[0], again[-1]) == ("source opened", "source closed")
