"""``asyncdataflow new``: a flow to start from, with its test and its configuration."""

from __future__ import annotations

import importlib.util
import keyword
from collections.abc import Mapping
from pathlib import Path

import click

from .arguments import json_option
from .failure import Refused, reported
from .output import say, say_as_json
from .templates import CONFIGURATION, FLOW, TEST

__all__ = ("command",)


@click.command("new")
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to; the current folder by default.",
)
@json_option
@reported
def command(name: str, folder: Path, as_json: bool) -> None:
    """Write a flow, its test and its configuration.

    NAME.py, test_NAME.py and NAME.toml run as they stand.

    Nothing is written over.
    """
    contents = {
        folder / f"{name}.py": FLOW.substitute(name=name),
        folder / f"test_{name}.py": TEST.substitute(name=name),
        folder / f"{name}.toml": CONFIGURATION.substitute(name=name),
    }
    there = [str(path) for path in contents if path.exists()]
    if there:
        raise Refused(f"{', '.join(there)}: already there, and nothing is written over")
    _refuse_name(name)
    _write(folder, contents)
    written = [str(path) for path in contents]
    commands = [
        f"asyncdataflow run {written[0]}:flow count=5",
        f"asyncdataflow run -c {written[2]}",
        f"asyncdataflow test {written[0]}",
    ]
    if as_json:
        say_as_json({"written": written, "commands": commands})
    else:
        needs = importlib.util.find_spec("pytest") is None
        hint = ["", "the test needs pytest, which is not installed: pip install pytest"] if needs else []
        say("\n".join([*(f"wrote {each}" for each in written), "", *commands, *hint]))


def _write(folder: Path, contents: Mapping[Path, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in contents.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise Refused(f"cannot be written: {error.strerror}", where=str(error.filename or folder)) from None


def _refuse_name(name: str) -> None:
    """What cannot be imported under this name, or would stand in another's place."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("test_"):
        raise Refused(f"{name!r} is no name for a module: letters, digits and _, as in my_flow")
    if importlib.util.find_spec(name) is not None:
        raise Refused(f"{name!r}: Python already has a module of this name; take another")
