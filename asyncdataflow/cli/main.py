"""The command itself: which commands there are, each loaded when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Final

import click

from .redaction import Secrets

__all__ = ("COMMANDS", "Commands", "main")

COMMANDS: Final[Mapping[str, str]] = {
    "run": ".run",
    "check": ".check",
    "graph": ".graph",
    "new": ".new",
    "test": ".test",
    "list": ".list",
    "replay": ".replay",
    "send": ".send",
}
"""The module of each command, which has it as ``command``, in the order in which help shows them."""


class Commands(click.Group):
    """Commands that are imported when they are asked for: starting one must not cost all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(COMMANDS[cmd_name], __package__).command
        return found


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="asyncdataflow", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Run, check, draw and test streaming dataflows.

    A flow is named module:flow, path.py:flow, or written as text with -m for the module
    in which its names are looked up.
    """
    ctx.obj = Secrets()
