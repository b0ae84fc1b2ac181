"""Real servers for tests, each in a folder of its own: started, killed and started again.

They listen on a unix socket in that folder or on a free port of the loopback, never elsewhere,
and are ended by their process ids.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import psutil
import pytest

__all__ = ("Nats", "Postgres", "Server", "Started", "cluster", "lives", "missing", "running")

Started = Callable[[subprocess.Popen[bytes], signal.Signals], object]

_PATIENCE = 30.0
_PACKAGES = {"postgres": "postgresql", "initdb": "postgresql", "nats-server": "nats-server"}


def missing(why: str) -> NoReturn:
    """Skip; fail where everything has to be there."""
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(why)
    pytest.skip(why)


def _program(name: str) -> str:
    """The path of a server's program; Debian puts some where no PATH leads."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parts[4]))
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *map(str, reversed(folders))])
    found = shutil.which(name, path=path)
    if found is None:
        missing(f"{name} is not installed: apt-get install -y --no-install-recommends {_PACKAGES[name]}")
    return found


class Server:
    """One process of a server.

    Attributes:
        folder: What it stores, and its log.
        process: The process, while it runs.
        started: Called with each process that is started, and the signal that ends it.
    """

    _ending = signal.SIGTERM
    _user: dict[str, Any]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.started: Started = lambda process, number: None
        self._user = {}

    def command(self) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def answers(self) -> bool:
        """It takes connections."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self.process is None, "it runs"
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which end it then
                **self._user,
            )
        self.started(self.process, self._ending)
        until = time.monotonic() + _PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError("it does not come up:\n" + self.log())
            time.sleep(0.01)

    def log(self) -> str:
        """What it wrote since it was started."""
        return (self.folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        """``kill -9``: it gets no chance to write or say anything."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """``kill -9``, and again over what it had stored."""
        self.kill()
        self.start()

    def stop(self, number: signal.Signals | None = None) -> None:
        """End it, as its owner does, by this signal or that which its kind takes best."""
        self._end(number or self._ending)

    def _end(self, number: int) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(_PATIENCE)


class Postgres(Server):
    """PostgreSQL on a unix socket, and on no port.

    It does not wait for the disk (``fsync=off``): what a killed process has written is the kernel's,
    and there again. Only a machine that loses its power would show a difference.

    Args:
        folder: An empty one.
        data: A cluster to copy.
    """

    # At once; what it held in shared memory is removed.
    _ending = signal.SIGQUIT

    def __init__(self, folder: Path, data: Path) -> None:
        super().__init__(folder)
        subprocess.run(["cp", "-a", str(data), str(folder / "data")], check=True)
        self._user = _owner(folder)

    @property
    def dsn(self) -> str:
        """What connects to it; the password is not asked for, and must not be seen anywhere."""
        return f"host={self.folder} user=postgres dbname=postgres password=hunter2"

    def command(self) -> list[str]:
        """With little memory and no port."""
        options = ("listen_addresses=", "fsync=off", "shared_buffers=16MB")
        where = f"--unix_socket_directories={self.folder}"
        return [
            _program("postgres"),
            "-D",
            str(self.folder / "data"),
            where,
            *(f"--{each}" for each in options),
        ]

    def answers(self) -> bool:
        """As it says itself, and its socket is there."""
        return "ready to accept connections" in self.log() and (self.folder / ".s.PGSQL.5432").exists()

    def kill(self) -> None:
        """All its processes: those that are left alone are in the way until they notice."""
        others = [] if self.process is None else psutil.Process(self.process.pid).children(recursive=True)
        super().kill()
        for each in others:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        until = time.monotonic() + _PATIENCE
        while any(map(lives, others)) and time.monotonic() < until:
            time.sleep(0.001)


def lives(process: psutil.Process) -> bool:
    """Not so one whose new parent has not looked after it yet."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def cluster() -> Iterator[Path]:
    """A new cluster of PostgreSQL, as ``initdb`` makes it."""
    with _folder() as folder:
        command = [_program("initdb"), "-D", str(folder / "data"), "-U", "postgres", "--no-sync"]
        subprocess.run(
            [*command, "--auth=trust", "--encoding=UTF8", "--locale=C"],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            **_owner(folder),
        )
        yield folder / "data"


class Nats(Server):
    """NATS with JetStream, on a port of the loopback that stays the same when it is started again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        """Its address; the password is not asked for, and must not be seen anywhere."""
        return f"nats://someone:hunter2@127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """With its store in the folder."""
        configuration = self.folder / "server.conf"
        configuration.write_text(json.dumps({"jetstream": {"store_dir": str(self.folder / "store")}}))
        return [_program("nats-server"), "-a", "127.0.0.1", "-p", str(self.port), "-c", str(configuration)]

    def answers(self) -> bool:
        """As it says itself: JetStream has read its store by then."""
        return "Server is ready" in self.log()


S = TypeVar("S", bound=Server)


@contextmanager
def running(make: Callable[[Path], S], started: Started | None = None) -> Iterator[S]:
    """A server in a folder of its own, started."""
    with _folder() as folder:
        server = make(folder)
        server.started = started or server.started
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    # Not one of pytest's: those are closed to the user that PostgreSQL runs as, and their paths
    # are too long for a unix socket.
    folder = Path(tempfile.mkdtemp(prefix="flow-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _owner(folder: Path) -> dict[str, Any]:
    """Of what lies in a folder: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {each.pw_name: each for each in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
