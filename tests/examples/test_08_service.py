"""The queue breaks, the service goes on, and a signal ends it with everything stored."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.source import ROOT


def test_it_drains_and_each_order_is_stored_once(tmp_path):
    # What it says on stderr is that the queue has broken.
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "08_service.py"), "1"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ended, counted = done.stdout.splitlines()
    assert int(re.fullmatch(r"drained by SIGTERM, after (\d+) sessions", ended).group(1)) >= 2
    assert re.fullmatch(r"\d{2,} orders stored, each once, 0 not acked", counted)
    assert "the source has failed and is opened anew" in done.stderr
