"""A command that was started by ``run --reload`` ends with it, however that one ends.

It inherits the reading end of a pipe; the other end is held by its parent alone, and closed by the system
when that one is gone, killed included.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import click

__all__ = ("OPTION", "parent_option")

OPTION: Final = "--parent"


def parent_option(command: Callable[..., None]) -> Callable[..., None]:
    """``--parent FD``, which nobody types: the pipe. It is not handed to the command."""
    return click.option(
        OPTION, "_parent", type=int, hidden=True, expose_value=False, is_eager=True, callback=_watch
    )(command)


def _watch(context: click.Context, parameter: click.Parameter, pipe: int | None) -> None:
    if pipe is not None:
        threading.Thread(target=_end_with, args=(pipe,), name="parent watcher", daemon=True).start()


def _end_with(pipe: int) -> None:
    """Wait until nobody holds the other end, then drain."""
    with suppress(OSError):
        os.set_inheritable(pipe, False)
        os.read(pipe, 1)
    # As a service manager would ask: what is in flight is finished, within the deadlines.
    os.kill(os.getpid(), signal.SIGTERM)
