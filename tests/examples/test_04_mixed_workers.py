"""Each stage of the mixed flow runs where it belongs."""

from __future__ import annotations

import re


def test_each_stage_runs_where_it_belongs(run_example):
    printed = run_example("04_mixed_workers.py")
    assert re.fullmatch(
        r"look: 1 place, as the loop\n"
        r"fetch: \d places?, as fetch-\d\n"
        r"score: \d places?, as process \d+\n",
        printed,
    )
