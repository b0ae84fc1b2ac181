"""What is Python's standard library made of? Its own source, streamed into SQLite.

Here ``parse`` has processes, ``read`` has threads and ``discover`` is on the loop::

    discover ──> read ──> parse ──> route ──┬──> batch ──> store    census.db
                                            └──> reject             rejects.jsonl
"""

import argparse
import ast
import asyncio
import contextlib
import json
import sqlite3
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any

from progress import progress

from asyncdataflow import DataFlow, batch, route, stage

File = dict[str, Any]
COUNTED = {"functions": ast.FunctionDef, "coroutines": ast.AsyncFunctionDef, "classes": ast.ClassDef}
COLUMNS = ("path", "lines", *COUNTED, "docstrings")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NOT_OURS = {"site-packages", "dist-packages", "__pycache__"}
LARGEST = "SELECT path, lines, functions FROM files ORDER BY lines DESC LIMIT 5"


async def discover(root: Path) -> AsyncIterator[Path]:
    """A source: ``root`` is a run parameter, found by its name. The next step sets the pace."""
    folders = [root]
    while folders:
        for entry in await asyncio.to_thread(lambda: sorted(folders.pop().iterdir())):
            if entry.suffix == ".py" and entry.is_file():
                yield entry
            elif entry.is_dir() and not entry.is_symlink() and entry.name not in NOT_OURS:
                folders.append(entry)


def read(path: Path, *, root: Path) -> File:
    """A plain function runs in threads of its stage. By keyword it gets run parameters, too."""
    return {"path": path.relative_to(root).as_posix(), "source": path.read_bytes()}


def parse(file: File) -> File:
    """Heavy on the CPU, so its stage has processes."""
    source = file.pop("source")
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in the library's own tests
            nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError) as error:
        return {**file, "error": f"{type(error).__name__}: {error}"}
    kinds = Counter(map(type, nodes))
    counts = {name: kinds[kind] for name, kind in COUNTED.items()}
    documented = (ast.get_docstring(each, clean=False) for each in nodes if isinstance(each, DOCUMENTED))
    return {**file, "lines": len(source.splitlines()), **counts, "docstrings": sum(map(bool, documented))}


def store(files: list[File], *, database: sqlite3.Connection) -> None:
    """``database`` is what the resource of that name opened. One transaction a batch."""
    with database:
        database.executemany(f"INSERT INTO files VALUES (:{', :'.join(COLUMNS)})", files)  # noqa: S608


def reject(file: File, *, rejects: IO[str]) -> None:
    """What cannot be parsed is kept, with the reason. An open file is a context manager, too."""
    rejects.write(json.dumps(file) + "\n")


@contextlib.contextmanager
def open_database(out: Path) -> Iterator[sqlite3.Connection]:
    """A resource: entered when a run starts, left when its last worker has ended."""
    out.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(out / "census.db", check_same_thread=False)) as database:
        database.executescript(f"DROP TABLE IF EXISTS files; CREATE TABLE files ({', '.join(COLUMNS)})")
        yield database


census = DataFlow(
    (
        discover,
        stage(read, concurrency=4),
        stage(parse, executor="process", concurrency=2, ordered=False),
        route(lambda file: "rejected" if "error" in file else "parsed"),
        {"parsed": (batch(200, seconds=1), store), "rejected": reject},
    ),
    resources={"database": open_database, "rejects": lambda out: (out / "rejects.jsonl").open("w")},
)


def tell(out: Path) -> None:
    """The totals, and how to look further."""
    database, rejects = out / "census.db", out / "rejects.jsonl"
    query = f"SELECT count(*), total({'), total('.join(COLUMNS[1:])}) FROM files"  # noqa: S608 - our own names
    with contextlib.closing(sqlite3.connect(database)) as opened:
        totals = zip(("files", *COLUMNS[1:]), opened.execute(query).fetchone(), strict=True)
    print(", ".join(f"{count:,.0f} {of}" for of, count in totals))
    print(f"{len(rejects.read_text(encoding='utf-8').splitlines())} files do not parse: see {rejects}")
    look = f"import sqlite3; [print(*row) for row in sqlite3.connect({str(database)!r}).execute({LARGEST!r})]"
    print(f'The results are in {database}; the largest files, for one:\n  {sys.executable} -c "{look}"')


async def main(out: Path, root: Path) -> None:
    """Run it, and show meanwhile how far each stage is."""
    async with census.stream({"root": root, "out": out}) as run, progress(run):
        await run.wait()
    tell(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("census"), help="folder for the results")
    parser.add_argument("--root", type=Path, default=Path(sysconfig.get_path("stdlib")), help="what to read")
    asyncio.run(main(**vars(parser.parse_args())))
