"""The command itself: which commands there are, each loaded when it is asked for."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from ..naming import nearest
from .failure import FAILED, INTERRUPTED, refuse
from .output import closed, say
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

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> NoReturn:
        """Run one and end with its code, also where the arguments are wrong or its help cannot be written.

        Whoever gives the arguments is a program that goes on, and has its own handlers of signals back.
        """
        options["standalone_mode"] = False
        if args is None:
            sys.exit(self._code(sys.argv[1:], *rest, **options))
        with _handlers_given_back():
            sys.exit(self._code(list(args), *rest, **options))

    def _code(self, given: Sequence[str], *rest: Any, **options: Any) -> int:
        try:
            return super().main(given, *rest, **options) or 0
        except click.ClickException as error:
            refuse(error, as_json="--json" in given)
            return error.exit_code
        except click.Abort:
            return INTERRUPTED
        except OSError as error:
            closed(error, sys.stdout)
            return FAILED

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of their use."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that arguments begin with, or what may have been meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{nearest(args[0], COMMANDS) or '.'}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(COMMANDS[cmd_name], __package__).command
        return found


@contextmanager
def _handlers_given_back() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            # Only the main thread can set one; None is a handler that is not Python's.
            if handler is not None and signal.getsignal(each) != handler:
                signal.signal(each, handler)


def _say_version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    try:
        version = metadata.version("asyncdataflow")
    except metadata.PackageNotFoundError:
        version = f"that is not installed, in {Path(__file__).parents[2]}"
    say(f"{context.info_name} {version}")
    context.exit()


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Show the version and exit.",
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Run, check, draw and test streaming dataflows.

    A flow is named module:flow, path.py:flow, or written as text with -m for the module
    in which its names are looked up.
    """
    ctx.obj = Secrets()
