"""Killed twice, and every order is there once."""

from __future__ import annotations

import re


def test_every_order_is_there_once(run_example):
    told = run_example("07_exactly_once.py").splitlines()
    assert [line.split(":")[0] for line in told] == ["killed", "killed", "done"]
    stored = [int(re.search(r"(\d+) orders stored, 0 twice", line).group(1)) for line in told]
    assert stored == sorted(stored)
    assert stored[0] < 1_000 <= stored[1] + 1_000 <= 3_000
    assert stored[2] == 3_000
