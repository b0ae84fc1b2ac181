from __future__ import annotations

import subprocess
import sys

import pytest

from asyncdataflow.when_called import when_called

SIDE_BY_SIDE = """
import sys, threading
from asyncdataflow.when_called import when_called

dumps = when_called("json", "dumps")
assert "json" not in sys.modules
together = threading.Barrier(8)
made = []

def one():
    together.wait()
    made.append(dumps([1]))

threads = [threading.Thread(target=one) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
assert made == ["[1]"] * 8, made
"""


def test_threads_that_come_first_together_get_the_same():
    subprocess.run([sys.executable, "-c", SIDE_BY_SIDE], check=True)


def test_what_is_not_there_is_told_by_the_call():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        when_called("no_such_module", "f")()
    with pytest.raises(AttributeError, match="no_such_name"):
        when_called("json", "no_such_name")()
