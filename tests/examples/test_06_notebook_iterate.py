"""The endless flow of the notebook ends where its reader has seen enough."""

from __future__ import annotations

import ast


def test_it_ends_when_its_reader_has_seen_enough(run_example):
    *_, told, first, second, third, fourth, fifth = run_example("06_notebook_iterate.py").splitlines()
    assert told.startswith("at most ")
    seen = [number for each in (first, second, third, fourth, fifth) for number in ast.literal_eval(each)]
    primes = [number for number in range(100, 230) if all(number % each for each in range(2, number))]
    assert seen == primes[: len(seen)]
    assert seen[19] <= 200 < seen[24]
