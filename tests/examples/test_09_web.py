"""Each request gets its own answer, the bad one its error, and the model is asked far less often."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx")


def test_requests_are_put_together_and_answered_one_by_one(run_example):
    lines = run_example("09_web.py").splitlines()
    assert lines[:4] == [
        "status: {200: 199, 422: 1}",
        "the first: {'vector': [1.3, 0.2]}",
        "the last: {'error': 'an empty text'}",
        "texts: 199",
    ]
    told, calls = lines[4].rsplit(maxsplit=1)
    assert told == "calls of the model:"
    # Seven are full; a slow machine may hold a request or two back.
    assert 7 <= int(calls) <= 50
