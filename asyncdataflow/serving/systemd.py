"""systemd: tells the service manager that the service is ready, stops, and is alive.

The protocol is ``sd_notify(3)``: datagrams to the socket that ``NOTIFY_SOCKET`` names. Other managers
speak it as well. Without that variable nothing is said and nothing is opened.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from types import TracebackType

__all__ = ("Notifier",)

_logger = logging.getLogger("asyncdataflow")


class Notifier:
    """What is said to the manager of this process, by the loop itself.

    While a loop is blocked it says nothing: that is what a watchdog is for.

    Args:
        environ: Where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` stand.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._interval = _beat(environ)
        self._socket: socket.socket | None = None
        self._next_beat: asyncio.TimerHandle | None = None

    def __enter__(self) -> Notifier:
        if self._address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            if self._interval is not None:
                # From the first moment: opening what the service needs counts as well.
                self._beat(self._interval)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._next_beat is not None:
            self._next_beat.cancel()
        if self._socket is not None:
            self._socket.close()

    def ready(self) -> None:
        """The service works."""
        self._say("READY=1", "STATUS=running")

    def stopping(self, how: str) -> None:
        """It is on its way to its end."""
        self._say("STOPPING=1", f"STATUS={how}")

    def _beat(self, interval: float) -> None:
        self._say("WATCHDOG=1")
        self._next_beat = asyncio.get_running_loop().call_later(interval, self._beat, interval)

    def _say(self, *lines: str) -> None:
        if self._socket is None:
            return
        # An at sign stands for the zero byte of the abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            self._socket.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            # The service goes on without; a watchdog that hears nothing will act.
            _logger.warning("NOTIFY_SOCKET: %s was not told: %s", lines[0], error)


def _beat(environ: Mapping[str, str]) -> float | None:
    """Seconds between two signs of life, half of what the watchdog waits; ``None`` without one of ours."""
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", ""))
        ours = int(environ.get("WATCHDOG_PID", os.getpid())) == os.getpid()
    except ValueError:
        return None
    return microseconds / 2_000_000 if microseconds > 0 and ours else None
