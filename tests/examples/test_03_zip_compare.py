"""The comparison logs every pair and reports the one that differs."""

from __future__ import annotations

import json


def test_rows_are_compared_in_pairs_and_both_sinks_get_all(run_example, tmp_path):
    path = tmp_path / "compared.jsonl"
    printed = run_example("03_zip_compare.py", "--path", path)
    logged = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["id"] for each in logged] == [1, 2, 3, 4, 5]
    assert [each["differs"] for each in logged] == [{}, {}, {}, {"price": [40, 0]}, {}]
    assert printed.splitlines()[-1] == "row 4 differs in price"
    assert "compare [thread]" in printed
