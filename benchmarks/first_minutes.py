"""How large is what is installed, and how long after its start does the README's program give its first item?

The first ten minutes, in an environment of its own and an empty folder: install, write the README's first
lines, run them. What counts as the core is all that the install brings along, as files on disk, without
bytecode; the design allows 5 MB, and 0.5 s to the first item. What ``asyncdataflow new demo`` writes has to
pass its tests.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
LARGEST: Final = 5e6
LONGEST: Final = 0.5
BASE: Final = "import asyncio, janus; print('ready', flush=True)"
FIRST: Final = "with flow.iterate({'count': 3}) as results:\n    print(next(iter(results)), flush=True)\n"

SIZES: Final = """
import importlib.metadata, json
sizes = {}
for each in importlib.metadata.distributions():
    if each.name not in {"pip", "setuptools", "wheel"}:
        files = [file.locate() for file in each.files if file.suffix != ".pyc"]
        sizes[f"{each.name} {each.version}"] = sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps(sizes))
"""


def main() -> int:
    """Measure, print, and fail where it is too large, too slow or does not work."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--python", type=Path, help="of an environment that has the package and nothing else")
    parser.add_argument("--lenient", action="store_true", help="tell times, and do not judge them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        python = asked.python or installed(Path(place, "venv"))
        empty = Path(place, "empty")
        empty.mkdir()
        small = tell_sizes(python)
        quick = tell_times(python, empty, asked.rounds)
        check_demo(python, empty)
    return int(not small or not (quick or asked.lenient))


def installed(place: Path) -> Path:
    """A new environment with the package, installed as the README says; its Python."""
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    begun = time.perf_counter()
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    print(f"installed in {time.perf_counter() - begun:.1f} s, the wheel built and the index asked")
    return python


def tell_sizes(python: Path) -> bool:
    """How large each package is; whether all together are small enough."""
    sizes = json.loads(output(python, "-c", SIZES))
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1]):
        print(f"{size / 1e6:6.2f} MB  {name}")
    whole = sum(sizes.values())
    print(f"{whole / 1e6:6.2f} MB  together; {LARGEST / 1e6:g} are allowed")
    return bool(whole <= LARGEST)


def tell_times(python: Path, folder: Path, rounds: int) -> bool:
    """How long the README's flow takes to its first item, beside what it needs anyway, in turn."""
    program = folder / "first.py"
    program.write_text(first_block(), encoding="utf-8")
    output(python, "-W", "error", program.name, folder=folder)
    lines = [line for line in first_block().splitlines() if not line.startswith("assert ")]
    program.write_text("\n".join([*lines, FIRST]), encoding="utf-8")
    taken: dict[str, list[float]] = {"asyncio and janus imported": [], "the first item": []}
    for _ in range(rounds + 1):
        taken["asyncio and janus imported"].append(until_first_line([python, "-c", BASE], folder))
        taken["the first item"].append(until_first_line([python, program.name], folder))
    # The first round reads from disk what later ones find in memory.
    base, first = (statistics.median(times[1:]) for times in taken.values())
    for what, times in taken.items():
        print(
            f"{statistics.median(times[1:]):6.3f} s   {what}; {times[0]:.3f} s when it ran for the first time"
        )
    print(f"{first / base:6.2f}     ratio; {LONGEST:g} s are allowed")
    return first <= LONGEST


def check_demo(python: Path, folder: Path) -> None:
    """What ``new`` writes runs, and passes its tests."""
    command = (python, "-m", "asyncdataflow")
    output(*command, "new", "demo", folder=folder)
    told = output(*command, "run", "demo.py:flow", "count=1", folder=folder)
    if told != "order 1: 20\n":
        raise AssertionError(f"the demo said {told!r}")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "pytest"], check=True)
    print(
        "asyncdataflow new demo, its tests: "
        + output(*command, "test", "demo.py", folder=folder).splitlines()[-1]
    )


def first_block() -> str:
    """The README's first lines of Python."""
    return (ROOT / "README.md").read_text(encoding="utf-8").split("```python\n", 1)[1].split("```", 1)[0]


def until_first_line(command: list[str | Path], folder: Path) -> float:
    """Seconds from its start to its first line."""
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, env=environment()) as process:
        said = process.stdout.readline() if process.stdout is not None else b""
        took = time.perf_counter() - begun
    if process.returncode or not said:
        raise AssertionError(f"{command} ended with {process.returncode}")
    return took


def output(*command: str | Path, folder: Path | None = None) -> str:
    """What a command says; it has to end well."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def environment() -> dict[str, str]:
    """Nothing of the checkout can be what is imported, and bytecode is kept as it is by default."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    }


if __name__ == "__main__":
    sys.exit(main())
