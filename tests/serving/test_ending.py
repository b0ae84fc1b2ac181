"""What the first two signals do to a run, whatever runs."""

from __future__ import annotations

import asyncio
import logging
import signal
from types import MappingProxyType

import pytest

from asyncdataflow.serving.ending import Ending
from asyncdataflow.serving.systemd import Notifier
from asyncdataflow.stats import RunStats, StageStats


class Running:
    """A run that notes what it is asked for."""

    def __init__(self):
        self.state = "running"
        self.asked = []

    def drain(self, timeout, grace):
        self.asked.append(("drain", timeout, grace))

    def stop(self, timeout):
        self.asked.append(("stop", timeout))
        self.state = "stopping"

    def stats(self):
        stages = {"a": StageStats(in_flight=2, queued=1), "b": StageStats()}
        return RunStats(self.state, MappingProxyType(stages), 0, 0, 0.0)


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "asyncdataflow")
    return lambda: caplog.messages


def ended(run, *signals, waiting=lambda: 0):
    async def main():
        ending = Ending("orders", run, Notifier({}), 7.0, 3.0, waiting)
        for each in signals:
            ending.tell(each)
        await asyncio.sleep(0)
        return ending.served()

    return asyncio.run(main())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_first_drains_with_both_deadlines(number, code, told):
    run = Running()
    served = ended(run, number)
    assert run.asked == [("drain", 7.0, 3.0)]
    assert (served.reason, served.exit_code) == ("drained", code)
    assert told() == [
        f"orders: {number.name}: draining, for at most 7.0 s; once more stops it, "
        "a third time ends the program at once"
    ]


def test_the_second_stops_also_while_calls_wait_so_that_the_run_does_not_drain_yet(told):
    run = Running()
    served = ended(run, signal.SIGTERM, signal.SIGINT, waiting=lambda: 4)
    assert run.asked == [("drain", 7.0, 3.0), ("stop", 3.0)]
    assert (served.reason, served.exit_code, served.unsettled) == ("stopped", 3, {"a": 3})
    assert told()[1] == "orders: SIGINT: stopping; unsettled: 3 in or before a, 4 calls that wait"


@pytest.mark.parametrize("state", ["stopping", "ended", "failed"])
def test_a_run_that_ends_already_is_not_asked(state, told):
    run = Running()
    run.state = state
    assert ended(run, signal.SIGTERM, signal.SIGTERM).reason == "ended"
    assert (run.asked, told()) == ([], [])


def test_one_that_drains_already_is_stopped():
    run = Running()
    run.state = "draining"
    assert ended(run, signal.SIGTERM).reason == "stopped"
    assert run.asked == [("stop", 3.0)]
