"""Each order is a trace, and a batch is part of its first one's."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.sdk")

FIRST_OF_A_BATCH = """\
orders
  price
    ask the shop
  tax
  sign
  store, with 1 other order(s)
"""
OTHER = "".join(FIRST_OF_A_BATCH.splitlines(keepends=True)[:-1])


def test_the_spans_of_four_orders(run_example):
    assert run_example("10_traces.py") == (FIRST_OF_A_BATCH + OTHER) * 2 + "4 traces\n"
