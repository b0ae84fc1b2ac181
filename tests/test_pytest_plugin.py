"""The pytest plugin: seeds by a marker, a virtual clock, and nothing else for anybody."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest
import pytest_asyncio.plugin

import asyncdataflow.testing  # noqa: F401 - what an inner session imports first, it throws away again
from asyncdataflow import pytest_plugin
from tests.code_blocks import code_blocks
from tests.source import ROOT

MODES = ("strict", "auto", "without pytest-asyncio")
IMPORTS = """
import asyncio, time
import pytest
from asyncdataflow import DataFlow, stage
from asyncdataflow.testing import CollectSink, Faults, FeedSource, run_flow
"""
LOST_UPDATE = """
async def add(amount, *, account):
    before = account["balance"]
    await asyncio.sleep(0)
    account["balance"] = before + amount

async def total(amounts):
    account = {"balance": 0}
    await DataFlow(stage(add, concurrency=2), resources={"account": account}).run(items=amounts)
    return account["balance"]
"""


@pytest.fixture
def session(pytester, monkeypatch):
    """Run a test module in a pytest session of its own, with our plugin and warnings as errors."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for said_by_ci in ("CI", "BUILD_NUMBER"):  # with one of them pytest's summary repeats a failure whole
        monkeypatch.delenv(said_by_ci, raising=False)

    def run(source, *arguments, mode="without pytest-asyncio"):
        pytester.makepyfile(test_inner=IMPORTS + source)
        plugins, options = [pytest_plugin], ["--strict-markers", "-W", "error", "-p", "no:cacheprovider"]
        if mode in ("strict", "auto"):
            plugins.append(pytest_asyncio.plugin)
            options += ["-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function"]
        return pytester.runpytest_inprocess(*options, *arguments, plugins=plugins)

    return run


@pytest.fixture(params=MODES)
def in_each_mode(session, request):
    return lambda source, *arguments: session(source, *arguments, mode=request.param)


def output(result):
    return result.stdout.str()


def test_whoever_installs_the_package_has_the_plugin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"asyncdataflow": pytest_plugin.__name__}


def test_a_marked_test_runs_once_for_each_seed_each_in_another_order(in_each_mode):
    result = in_each_mode("""
orders = []

@pytest.mark.simulate(seeds=40)
async def test_three_tasks():
    seen = []
    async def tell(name):
        await asyncio.sleep(0)
        seen.append(name)
    await asyncio.gather(*map(tell, "abc"))
    orders.append("".join(seen))

def test_afterwards():
    assert len(orders) == 40 and len(set(orders)) > 1
""")
    result.assert_outcomes(passed=2)


def test_a_failure_names_its_seed_the_line_that_reruns_it_and_what_led_there(in_each_mode):
    result = in_each_mode(
        LOST_UPDATE
        + """
@pytest.mark.simulate(seeds=30)
async def test_nothing_is_lost():
    assert await total([1, 2, 3]) == 6
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            r"> +assert await total\(\[1, 2, 3\]\) == 6",
            r"E +assert \d == 6",
            r"E +\d+ of the \d+ seeds that ran failed: (\d+), .*",
            r"E +seed \d+ again: pytest test_inner.py::test_nothing_is_lost --simulate-seed=\d+",
            r"E +what led there:",
            r"E +step .* add begins 1",
        ]
    )


def test_the_line_that_reruns_a_seed_runs_that_seed_alone(session):
    source = """
count = [0]

@pytest.mark.simulate(seeds=60)
@pytest.mark.parametrize("where", ["a b"])
async def test_an_order(where):
    count[0] += 1
    seen = []
    async def tell(name):
        seen.append(name)
    await asyncio.gather(*map(tell, "ab"))
    assert seen == ["a", "b"], f"after {count[0]} of them"
"""
    found = session(source)
    (line,) = (each for each in found.stdout.lines if "again: pytest" in each)
    command, seed = line.partition("pytest ")[2].split(" --simulate-seed=")
    assert command == "'test_inner.py::test_an_order[a b]'"
    again = session(source, f"--simulate-seed={seed}")
    again.assert_outcomes(failed=1)
    assert "1 of the 1 seeds that ran failed" in output(again)
    assert "after 1 of them" in output(again)


def test_the_number_of_seeds_can_be_said_for_a_whole_session(session):
    result = session(
        """
ran = {"counted": 0, "chosen": 0}

@pytest.mark.simulate(seeds=3)
async def test_counted():
    ran["counted"] += 1

@pytest.mark.simulate(seeds=[7, 9])
async def test_chosen():
    ran["chosen"] += 1

def test_afterwards():
    assert ran == {"counted": 11, "chosen": 2}
""",
        "--simulate-seeds=11",
    )
    result.assert_outcomes(passed=3)


def test_no_seeds_at_all_are_refused(session):
    result = session("", "--simulate-seeds=0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "at least one seed" in result.stderr.str()


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("simulate(500)", "arguments by name"),
        ("simulate(seed=5)", "no 'seed'; did you mean 'seeds'?"),
        ("simulate(seeds=0)", "at least one seed"),
        ("simulate(seeds=[])", "at least one seed"),
        ("simulate(seeds='many')", "how many seeds, or which"),
        ("simulate(faults=0.1)", "Faults(…) is needed"),
        ("simulate(most_turns='all')", "a number of turns"),
    ],
)
def test_a_marker_with_wrong_arguments_says_what_to_write(session, marker, told):
    result = session(f"""
@pytest.mark.{marker}
async def test_it():
    raise AssertionError("is never run")
""")
    result.assert_outcomes(errors=1)
    assert told in output(result)
    assert "is never run" not in output(result)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("@pytest.mark.simulate\ndef test_it(): pass", "is an async def, or returns the flow"),
        ("@pytest.mark.simulate\nasync def test_it(): yield 1", "a test that yields"),
        (
            "import unittest\n@pytest.mark.simulate\nclass TestIt(unittest.TestCase):\n"
            "    def test_it(self): pass",
            "unittest.TestCase",
        ),
        (
            "from hypothesis import given, strategies\n@pytest.mark.simulate\n@given(strategies.none())\n"
            "def test_it(nothing): pass",
            "@given and simulate",
        ),
    ],
    ids=["plain", "generator", "unittest", "hypothesis"],
)
def test_what_cannot_be_simulated_is_refused(session, source, told):
    result = session(source)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert told in output(result)


@pytest.mark.parametrize(
    "given_back",
    ["DataFlow((iter([3, 1, 2]), slowly, collect))", "DataFlow((slowly, collect)).run(items=[3, 1, 2])"],
    ids=["a flow", "a run"],
)
def test_a_plain_function_may_give_back_what_is_to_be_simulated(session, given_back):
    result = session(f"""
written = []

def slowly(seconds):
    time.sleep(seconds * 3600)
    return seconds

async def collect(seconds):
    written.append(seconds)

@pytest.mark.simulate(seeds=5)
def test_it():
    return {given_back}

def test_afterwards():
    assert written == [3, 1, 2] * 5
""")
    result.assert_outcomes(passed=2)


def test_faults_that_cannot_come_are_refused(session):
    result = session("""
@pytest.mark.simulate(seeds=3, faults=Faults(slow=0.5, only=("chrage",)))
def test_it():
    async def charge(n):
        return n
    return DataFlow((FeedSource([1]), charge))
""")
    result.assert_outcomes(failed=1)
    assert "no flow that ran has a stage 'chrage'" in output(result)
    assert "did you mean 'charge'?" in output(result)


def test_faults_come_and_are_no_failures(session):
    result = session("""
raised = []

@pytest.mark.simulate(seeds=30, faults=Faults(raises=0.2))
async def test_it():
    try:
        await run_flow(DataFlow(asyncio.sleep), [1, 2, 3])
    except Exception as error:
        raised.append(error)
        raise

def test_afterwards():
    assert 0 < len(raised) < 30
""")
    result.assert_outcomes(passed=2)


@pytest.mark.leaks("tasks", reason="is what is found")
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("await asyncio.Event().wait()", "DeadlockError"),
        ("while True: await asyncio.sleep(0)", "LivelockError"),
        ("asyncio.create_task(asyncio.sleep(1))", "a task is left"),
    ],
    ids=["stands still", "in circles", "leaves a task"],
)
def test_what_is_checked_for_free_is_checked_of_a_test_s_body(session, body, told):
    result = session(f"""
@pytest.mark.simulate(seeds=2, most_turns=100)
async def test_it():
    {body}
""")
    result.assert_outcomes(failed=1)
    assert told in output(result)
    assert "--simulate-seed=0" in output(result)


@pytest.mark.parametrize(("call", "outcome"), [("skip", "skipped"), ("xfail", "xfailed"), ("fail", "failed")])
def test_a_test_may_end_itself_as_any_other(session, call, outcome):
    result = session(f"""
ran = []

@pytest.mark.simulate(seeds=9)
async def test_it():
    ran.append(1)
    pytest.{call}("because")

def test_afterwards():
    assert (len(ran) < 9) == ({outcome!r} != "failed")
""")
    result.assert_outcomes(**{outcome: 1}, passed=1)
    assert ("--simulate-seed=" in output(result)) == (outcome == "failed")


@pytest.mark.leaks("tasks", reason="is what is found")
def test_an_expected_failure_may_name_what_the_simulation_finds(session):
    result = session("""
from asyncdataflow.errors import DeadlockError

@pytest.mark.xfail(raises=DeadlockError, strict=True)
@pytest.mark.simulate(seeds=3)
async def test_it():
    await asyncio.Event().wait()
""")
    result.assert_outcomes(xfailed=1)


def test_fixtures_parameters_and_classes_work_as_ever(in_each_mode):
    result = in_each_mode("""
counted = []

@pytest.fixture
def factor():
    counted.append("made")
    yield 10
    counted.append("gone")

@pytest.mark.simulate(seeds=4)
class TestTimes:
    @pytest.mark.parametrize("number", [1, 2])
    async def test_times(self, factor, number):
        counted.append(await run_flow(DataFlow(lambda n: n * factor), [number]))

    @pytest.mark.simulate(seeds=2)
    async def test_the_closest_marker_counts(self):
        counted.append("closest")

def test_afterwards():
    assert counted == ["made", *[[10]] * 4, "gone", "made", *[[20]] * 4, "gone", "closest", "closest"]
""")
    result.assert_outcomes(passed=4)


def test_a_test_marked_for_pytest_asyncio_too_is_simulated_only(session):
    result = session(
        """
import random
pytestmark = pytest.mark.asyncio
ran = []

@pytest.mark.simulate(seeds=3)
async def test_simulated():
    ran.append(type(asyncio.get_running_loop()).__module__)

async def test_not_simulated():
    assert len(ran) == 3 and {each.partition(".")[0] for each in ran} == {"asyncdataflow"}
    assert not type(asyncio.get_running_loop()).__module__.startswith("asyncdataflow")
""",
        mode="strict",
    )
    result.assert_outcomes(passed=2)


def test_what_an_async_fixture_makes_reaches_a_simulated_test(session):
    result = session(
        """
@pytest.fixture
async def made_on_another_loop():
    await asyncio.sleep(0)
    yield 5
    await asyncio.sleep(0)

@pytest.mark.simulate(seeds=3)
async def test_it(made_on_another_loop):
    await asyncio.sleep(3600)
    assert made_on_another_loop == 5
""",
        mode="auto",
    )
    result.assert_outcomes(passed=1)


@pytest.mark.leaks("tasks", reason="one stands still for good")
def test_an_async_test_that_asks_for_the_clock_runs_on_it(in_each_mode):
    result = in_each_mode("""
def in_a_thread(hours):
    time.sleep(hours * 3600)
    return hours

async def test_it(virtual_clock):
    await asyncio.sleep(60)
    assert virtual_clock.now == 60
    assert await run_flow(DataFlow(in_a_thread), [1, 2]) == [1, 2]
    assert virtual_clock.now == 60 + 3 * 3600

async def test_its_order_is_asyncio_s_own(virtual_clock):
    seen = []
    async def tell(name):
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(name)
    await asyncio.gather(*map(tell, "abcd"))
    assert "".join(seen) == "abcd" * 3

async def test_it_fails_as_any_other(virtual_clock):
    assert virtual_clock.now == 1

async def test_it_knows_a_deadlock(virtual_clock):
    await asyncio.Event().wait()
""")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*assert 0.0 == 1", "E *DeadlockError: *"])


def test_a_plain_test_runs_coroutines_on_the_clock(session):
    result = session("""
def test_it(virtual_clock):
    assert virtual_clock.now == 0
    assert virtual_clock.run(asyncio.sleep(3600, "rested")) == "rested"
    sink = CollectSink(delay=10)
    virtual_clock.run(run_flow(DataFlow((FeedSource([1, 2]), sink))))
    assert sink.items == [1, 2]
    assert virtual_clock.now == 3620
""")
    result.assert_outcomes(passed=1)


def test_the_clock_has_the_time_of_the_seed_that_runs(session):
    result = session("""
@pytest.mark.simulate(seeds=3)
async def test_it(virtual_clock):
    assert virtual_clock.now == 0
    await asyncio.sleep(60)
    assert virtual_clock.now == 60
    with pytest.raises(RuntimeError, match="await it"):
        virtual_clock.run(asyncio.sleep(0))
""")
    result.assert_outcomes(passed=1)


def test_a_suite_s_own_fixture_of_that_name_wins(session):
    result = session(
        """
@pytest.fixture
def virtual_clock():
    return "theirs"

async def test_it(virtual_clock):
    assert virtual_clock == "theirs"
    assert not type(asyncio.get_running_loop()).__module__.startswith("asyncdataflow")
""",
        mode="auto",
    )
    result.assert_outcomes(passed=1)


def test_a_suite_s_own_marker_of_that_name_stays_what_it_is(session, pytester):
    pytester.makeini("[pytest]\nmarkers =\n    simulate(what): a marker of this suite\n")
    result = session("""
@pytest.mark.simulate("a crash", seeds=None)
def test_it(request):
    assert request.node.get_closest_marker("simulate").args == ("a crash",)
""")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["asyncdataflow: simulate is a marker of this suite's own*"])


def test_what_the_documents_show_of_it_runs(in_each_mode):
    (shown,) = (each for each in code_blocks(ROOT / "docs" / "testing.md") if each.reason == "pytest runs it")
    in_each_mode(shown.code, "--simulate-seeds=20").assert_outcomes(passed=4)


def test_the_marker_and_the_options_explain_themselves(session):
    assert "@pytest.mark.simulate(*, seeds=500, faults=None" in output(session("", "--markers"))
    assert "--simulate-seed=N" in output(session("", "--help"))


def test_who_does_not_use_the_plugin_does_not_pay_for_the_simulation(pytester):
    """Every suite of an environment in which the package is installed imports the plugin."""
    pytester.makepyfile(
        test_inner="""
        import sys

        def test_it():
            assert "asyncdataflow.pytest_plugin" in sys.modules
            assert "asyncdataflow.testing" not in sys.modules
            assert "aiostream" not in sys.modules
        """
    )
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "asyncdataflow.pytest_plugin"]
    told = subprocess.run(
        command, capture_output=True, text=True, cwd=pytester.path, env=alone, timeout=60, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
