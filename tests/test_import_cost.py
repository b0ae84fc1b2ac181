"""What importing the package costs: in modules, whose number does not depend on what else the machine does.

``benchmarks/import_cost.py`` measures the time.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MOST_MODULES = 140
LOADED = """
import asyncio, janus, json, sys
before = set(sys.modules)
import asyncdataflow
{then}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
ONE_SHOT = "assert asyncdataflow.DataFlow((range(3), str))() == ['0', '1', '2']"
NEVER_NEEDED = (
    "aiostream",
    "asyncdataflow._processes",
    "asyncdataflow.cli",
    "asyncdataflow.connectors",
    "asyncdataflow.push",
    "asyncdataflow.svg",
    "asyncdataflow.testing",
    "asyncdataflow.text_notation",
    "difflib",
    "html",
    "multiprocessing",
    "pickle",
)


def loaded(then=""):
    told = subprocess.run(
        [sys.executable, "-c", LOADED.format(then=then)], capture_output=True, text=True, check=True
    )
    return json.loads(told.stdout)


def test_it_stays_cheap():
    """A module costs about 0.2 ms; the allowance is 40, a good part of which goes to dataclasses."""
    assert len(loaded()) <= MOST_MODULES, "benchmarks/import_cost.py says whether that is still affordable"


@pytest.mark.parametrize("then", ["", ONE_SHOT], ids=["imported", "run"])
def test_what_a_plain_run_never_needs_is_not_loaded(then):
    found = [each for each in loaded(then) if each.startswith(NEVER_NEEDED)]
    assert not found
