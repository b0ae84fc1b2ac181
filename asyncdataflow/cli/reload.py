"""``run --reload``: a program of its own, which is drained and started again when files change."""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ..connectors.extra import need
from .arguments import Asked
from .failure import INTERRUPTED
from .output import say
from .parent import OPTION

__all__ = ("Reloading", "reloading")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def reloading(asked: Asked, folders: Sequence[Path], on_start: Callable[[], object]) -> int:
    """Run this very command without ``--reload``, again after each change that passes its check.

    Args:
        asked: The flow, as this command was told it: that is checked.
        folders: Python and TOML files below these are watched.
        on_start: Called when signals are taken.

    Returns:
        The exit code of the last run.

    Raises:
        MissingExtraError: watchfiles is not installed.
    """
    need("watchfiles", "reload", "run --reload")
    written = [each for each in sys.argv[1:] if each != "--reload"]
    return await Reloading(written, ["check", *asked.as_typed()], folders, on_start).run()


class Reloading:
    """A run in a child process, and who watches for changes.

    Args:
        arguments: Those of the child, ``run`` first.
        check: Those of the command that checks what has changed.
        folders: What is watched.
        on_start: Called when signals are taken.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        check: Sequence[str],
        folders: Sequence[Path],
        on_start: Callable[[], object] = lambda: None,
    ) -> None:
        self._arguments = list(arguments)
        self._checked = list(check)
        self._folders = folders
        self._on_start = on_start
        self._child: Process | None = None
        self._check: Process | None = None
        self._asked: signal.Signals | None = None
        self._had_ended = False
        self._end = asyncio.Event()
        self._pipe: tuple[int, int] = (-1, -1)

    async def run(self) -> int:
        """Until a signal: what it ends is passed on to the child, which drains as ever."""
        loop = asyncio.get_running_loop()
        self._pipe = os.pipe()
        before = {each: signal.getsignal(each) or signal.SIG_DFL for each in _SIGNALS}
        # What the program was started to ignore stays ignored, here and in the child.
        before = {each: handler for each, handler in before.items() if handler != signal.SIG_IGN}
        for each in before:
            loop.add_signal_handler(each, functools.partial(self._on_signal, each))
        self._on_start()
        try:
            await self._watch()
            return await self._code()
        finally:
            await self._kill(self._child)
            for end in self._pipe:
                os.close(end)
            for each, handler in before.items():
                loop.remove_signal_handler(each)
                signal.signal(each, handler)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._asked is None:
            self._asked = number
            self._had_ended = self._child is None or self._child.returncode is not None
        self._end.set()
        self._send(number)
        if self._check is not None:
            # What is found out is of no use any more, and importing somebody's module may take long.
            with suppress(ProcessLookupError):
                self._check.kill()

    def _send(self, number: signal.Signals) -> None:
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.send_signal(number)

    async def _watch(self) -> None:
        """Start the child, and again after every change that passes, until a signal comes."""
        # Imported by its name: an extra, needed by this alone.
        watchfiles: Any = importlib.import_module("watchfiles")
        changes = watchfiles.awatch(
            *self._folders,
            watch_filter=watchfiles.PythonFilter(extra_extensions=[".toml"]),
            stop_event=self._end,
        )
        await self._start()
        async for changed in changes:
            names = ", ".join(sorted({Path(path).name for _, path in changed}))
            refused = await self._refused()
            if self._asked is not None:
                return
            if refused:
                say(
                    f"{refused}\n{names}: changed, and does not pass its check; the flow runs on as it was",
                    err=True,
                )
            else:
                say(f"{names}: changed; draining and starting again", err=True)
                await self._drain()
                await self._start()

    async def _start(self) -> None:
        if self._asked is None:
            # In a group of its own: a Ctrl-C comes here, and from here to it, once.
            self._child = await self._begin(self._arguments, process_group=0)
        if self._asked is not None:
            # While it was being started there was nobody to pass the signal on to.
            self._send(self._asked)

    async def _begin(self, arguments: Sequence[str], **options: Any) -> Process:
        """Start a command, which ends when this program does."""
        ours, _ = self._pipe
        return await asyncio.create_subprocess_exec(
            *_python(),
            arguments[0],
            f"{OPTION}={ours}",
            *arguments[1:],
            stdin=DEVNULL,
            pass_fds=[ours],
            **options,
        )

    async def _drain(self) -> None:
        if self._child is not None:
            self._send(signal.SIGTERM)
            await self._child.wait()

    async def _refused(self) -> str:
        """What ``check`` says against the flow as it is now."""
        self._check = check = await self._begin(self._checked, stdout=PIPE, stderr=STDOUT)
        try:
            said, _ = await check.communicate()
        finally:
            await self._kill(check)
            self._check = None
        return said.decode(errors="replace").strip() if check.returncode else ""

    async def _kill(self, process: Process | None) -> None:
        """Where it has not ended: nothing is left running when something here fails."""
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _code(self) -> int:
        """The child's, which has been told to end; killed by that signal is as good as ended by it."""
        asked = INTERRUPTED if self._asked is signal.SIGINT else 0
        if self._child is None or self._had_ended:
            return asked
        code = await self._child.wait()
        return asked if code == -(self._asked or 0) else code


def _python() -> list[str]:
    return [sys.executable, *(["-P"] if sys.flags.safe_path else []), "-m", "asyncdataflow"]
