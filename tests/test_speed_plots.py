"""The plots: one readable drawing for each workload, from what was measured."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from benchmarks.speed import plot

SVG = "{http://www.w3.org/2000/svg}"


def contestant(name, role, median):
    return {"name": name, "role": role, "median": median}


def workload(*contestants, floors=(), ranks="seconds"):
    return {
        "workload": "W0",
        "what": "a < b & c",
        "ranks": ranks,
        "contestants": contestants,
        "floors": floors,
    }


CHAIN = workload(
    contestant("peer", "peer", 8e-6),
    contestant("limit", "limit", 1e-6),
    contestant("ours", "ours", 2e-6),
    contestant("broken", "peer", None),
    floors=[
        {"against": "limit", "least": 0.25, "measure": "seconds"},
        {"against": "peer", "least": 4, "measure": "seconds"},
        {"against": "peer", "least": 1000, "measure": "cpu"},
        {"against": "broken", "least": 1000, "measure": "seconds"},
    ],
)


def drawn(of):
    return ET.fromstring(plot.svg(of))


def texts(of):
    return [each.text for each in drawn(of).iter(f"{SVG}text")]


def lengths(of):
    bars = [each for each in drawn(of).iter(f"{SVG}rect") if each.get("x") == str(plot.LEFT)]
    return [(each.get("class"), float(each.get("width"))) for each in bars]


def test_the_best_is_at_the_top_and_ours_is_marked():
    assert [kind for kind, _ in lengths(CHAIN)] == ["limit", "ours", "bar"]
    widths = [width for _, width in lengths(CHAIN)]
    assert widths == sorted(widths)


def test_bars_are_as_long_as_the_logarithm():
    limit, ours, peer = [width for _, width in lengths(CHAIN)]
    assert peer - limit == pytest.approx(3 * (ours - limit), abs=0.5)


def test_figures_are_told_as_multiples_of_the_limit():
    assert {"1 µs", "2× · 2 µs", "8× · 8 µs", "asyncdataflow", "a < b & c"} <= set(texts(CHAIN))


def test_the_hardest_floor_of_what_is_drawn_is_marked():
    assert plot.wanted_of(CHAIN, 1e-6) == pytest.approx(2.0)
    assert "must reach" in texts(CHAIN)
    assert plot.wanted_of(workload(contestant("ours", "ours", 1.0)), None) is None


def test_without_a_limit_figures_stand_alone():
    memory = workload(
        contestant("ours", "ours", 200_000),
        contestant("peer", "peer", 100_000),
        floors=[{"against": "", "least": 5_000_000, "measure": "peak"}],
        ranks="peak",
    )
    assert plot.wanted_of(memory, None) == pytest.approx(5.0)
    assert {"0.20 MB", "0.10 MB"} <= set(texts(memory))


def test_what_grows_stays_in_the_order_of_its_sizes():
    growth = workload(contestant("1 stage", "ours", 3e-6), contestant("10 stages", "ours", 2e-6))
    first, second = [width for _, width in lengths(growth)]
    assert first > second


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.05, "0.05"), (1.0, "1"), (1234.5, "1,230"), (12_345, "12.3k"), (2.5e6, "2.5M")],
)
def test_numbers_are_short(value, told):
    assert plot.short(value) == told


@pytest.mark.parametrize(("seconds", "told"), [(5e-7, "0.5 µs"), (0.0021, "2.1 ms"), (3.0, "3 s")])
def test_times_have_the_unit_that_suits(seconds, told):
    assert plot.figure_of(seconds, plot.UNITS["seconds"]) == told


def test_each_workload_gets_a_file_and_what_was_not_measured_none(tmp_path):
    seen = [CHAIN, {**workload(contestant("ours", "ours", None)), "workload": "W99"}]
    assert [each.name for each in plot.write(seen, tmp_path / "plots")] == ["w0.svg"]
    assert json.dumps(CHAIN)
    ET.fromstring((tmp_path / "plots" / "w0.svg").read_text())
