"""The speed table: a quick round runs, and its verdicts tell reached from missed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from benchmarks.speed.child import measure, percentile
from benchmarks.speed.rounds import Cell
from benchmarks.speed.table import markdown
from benchmarks.speed.verdict import Medians, judge, medians_of
from benchmarks.speed.workload import BEST_PEER, LIMIT, OURS, Contestant, Floor, Workload
from benchmarks.speed.workloads import WORKLOADS, chosen
from tests.source import ROOT


def nothing(items):
    return list(range(items))


CONTESTANTS = [
    Contestant(LIMIT, nothing, "limit"),
    Contestant(OURS, nothing, "ours"),
    Contestant("quick", nothing, "other peer", "quick"),
    Contestant("slow", nothing, "peer", "slow", 0.1),
    Contestant("slower", nothing, "peer", "slower"),
]

MEASURED = {
    LIMIT: Medians(1.0, 1.0, p50=1e-4),
    OURS: Medians(2.0, 4.0, 0.003, 5e6, 2e-4),
    "quick": Medians(0.1, 0.1),
    "slow": Medians(10.0, 12.0),
    "slower": Medians(20.0, 8.0),
}


def table_of(*floors, check=lambda items, taken: None):
    return Workload("W0", "nothing", 100, CONTESTANTS, check, floors)


@pytest.mark.parametrize(
    ("floor", "told", "reached"),
    [
        (Floor(LIMIT, 0.5), 0.5, True),
        (Floor(LIMIT, 0.51), 0.5, False),
        (Floor(BEST_PEER, 5), 5.0, True),
        (Floor(BEST_PEER, 6), 5.0, False),
        (Floor(BEST_PEER, 2, "cpu"), 2.0, True),
        (Floor(BEST_PEER, 2.5, "cpu"), 2.0, False),
        (Floor("", 0.003, "first"), 0.003, True),
        (Floor("", 0.002, "first"), 0.003, False),
        (Floor("", 5e6, "peak"), 5e6, True),
        (Floor("", 4e6, "peak"), 5e6, False),
        (Floor(LIMIT, 0.5, "p50"), 0.5, True),
        (Floor(LIMIT, 0.5, "p99"), None, None),
        (Floor(BEST_PEER, 1, "first"), None, None),
        (Floor("not measured", 1), None, None),
    ],
    ids=str,
)
def test_a_floor_is_reached_or_missed(floor, told, reached):
    verdict = judge(floor, CONTESTANTS, MEASURED)
    assert (verdict.measured, verdict.reached) == (told, reached)


def test_the_best_peer_is_the_quickest_that_counts():
    assert judge(Floor(BEST_PEER, 1), CONTESTANTS, MEASURED).against == "slow"
    assert judge(Floor(BEST_PEER, 1, "cpu"), CONTESTANTS, MEASURED).against == "slower"


def test_nothing_is_judged_without_ours():
    others = {name: each for name, each in MEASURED.items() if name != OURS}
    assert judge(Floor(LIMIT, 0.5), CONTESTANTS, others).reached is None


def test_medians_are_per_item_and_step():
    rounds = [{"items": 10, "seconds": each, "cpu": 2 * each, "peak": each} for each in (30.0, 10.0, 80.0)]
    assert medians_of(rounds) == Medians(3.0, 6.0, peak=30.0)
    assert medians_of(rounds, steps=2) == Medians(1.5, 3.0, peak=30.0)


def test_percentiles_are_of_the_latencies():
    assert percentile([], 50) is None
    assert percentile(range(1, 1000), 50) == 500
    assert percentile(range(1, 1000), 99) == 990


def test_a_floor_may_be_of_one_of_several_of_ours():
    measured = {"1 item": Medians(2.0, 2.0), "9 items": Medians(3.0, 3.0)}
    verdict = judge(Floor("1 item", 0.5, of="9 items"), (), measured)
    assert (str(verdict.floor), str(verdict)) == ("0.5 of 1 item by 9 items", "0.667 reached")


def test_a_contestant_with_wrong_results_is_not_measured():
    def wrong(items, taken):
        raise AssertionError("items were lost")

    workload = table_of(check=wrong)
    with pytest.raises(AssertionError, match="items were lost"):
        measure(workload, workload.contestant(OURS), 10)


def test_a_contestant_that_failed_is_told_and_not_judged():
    workload = table_of(Floor(LIMIT, 0.5))
    rounds = [{"items": 10, "seconds": 1.0, "cpu": 1.0, "first": None}]
    cells = [
        Cell(workload, CONTESTANTS[0], 100, rounds),
        Cell(workload, CONTESTANTS[1], 100, rounds, "it broke"),
    ]
    told = markdown(workload, cells)
    assert "left out: it broke" in told
    assert "not judged" in told


def test_what_is_slow_gets_fewer_items():
    assert [table_of().items_of(each) for each in CONTESTANTS] == [100, 100, 100, 10, 100]


def test_only_picks_a_workload_its_variants_or_a_contestant():
    assert [workload.name for workload, _ in chosen(["W1"])] == ["W1"]
    assert [workload.name for workload, _ in chosen(["W8", "W2s/ours"])] == ["W2s-1", "W2s-20", "W8"]
    assert [[each.name for each in picked] for _, picked in chosen(["W1/ours", "W1/limit"])] == [
        [OURS, LIMIT]
    ]
    with pytest.raises(ValueError, match="'W1/me' is none"):
        chosen(["W1/me"])


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: each.name)
def test_each_workload_has_ours_and_floors_that_mean_somebody(workload):
    roles = {each.name: each.role for each in workload.contestants}
    assert len(roles) == len(workload.contestants)
    assert {roles[each.of] for each in workload.floors} == {"ours"}
    assert {each.against for each in workload.floors} <= {*roles, BEST_PEER, ""}
    assert roles.get(LIMIT, "limit") == "limit"
    assert not set(workload.cannot) & set(roles)


HERE = [
    pytest.param(workload, each, id=f"{workload.name}/{each.name}")
    for workload in WORKLOADS
    for each in workload.contestants
    if each.package is None and each.steps < 1000
]


@pytest.mark.parametrize(("workload", "contestant"), HERE)
def test_each_contestant_of_this_environment_does_its_work(workload, contestant):
    told = measure(workload, contestant, 30)
    assert told["items"] == 30
    assert medians_of([told], contestant.steps).of(workload.ranks) is not None


def test_a_quick_round_of_the_chain_runs(tmp_path):
    names = (LIMIT, "asyncio_queue", OURS)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "speed", "--quick", "--items", "500", "--json", str(tmp_path / "seen")),
            *(each for name in names for each in ("--only", f"W1/{name}")),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [workload] = json.loads((tmp_path / "seen").read_text())["workloads"]
    assert [(each["name"], len(each["rounds"]), each["failure"]) for each in workload["contestants"]] == [
        (name, 1, "") for name in sorted(names, key=[each.name for each in WORKLOADS[0].contestants].index)
    ]
