"""Flows in scripts: a program's own functions in worker processes, its exit, Ctrl-C, and its death."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading

import psutil
import pytest

from tests.source import ROOT

DEADLINE = 40
"""Seconds until a script counts as hanging; never waited for in full."""

BEGINNING = """
    import asyncio, functools, os, signal, sys, threading, time
    from asyncdataflow import DataFlow, stage
"""


class Script:
    """A program in a file of its own, and the processes that it has started."""

    def __init__(self, path, text):
        path.write_text(textwrap.dedent(BEGINNING) + textwrap.dedent(text))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=path.parent,
            start_new_session=True,
        )

    def line(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return line.rstrip()

    def end(self):
        self.process.wait(timeout=DEADLINE)
        # Not by `communicate`, which reads past what `line` has read ahead.
        out, err = self.process.stdout.read(), self.process.stderr.read()
        # In its debug mode asyncio tells of steps that took over 0.1 s: of the machine's load, that is.
        told = [line for line in err.splitlines(keepends=True) if not line.startswith("Executing <")]
        return self.process.returncode, out.splitlines(), "".join(told)


@pytest.fixture
def script(tmp_path):
    """Runs a program; whatever is left of it is ended."""
    made = []

    def run(text):
        made.append(Script(tmp_path / f"script_{len(made)}.py", text))
        return made[-1]

    yield run
    for each in made:
        with each.process, contextlib.suppress(ProcessLookupError):
            os.killpg(each.process.pid, signal.SIGKILL)


def all_gone(pids):
    """Whether processes have ended, which may take them a moment: zombies of init's count as gone."""
    pause = threading.Event()
    for _ in range(DEADLINE * 100):
        left = [pid for pid in pids if _lives(pid)]
        if not left:
            return True
        pause.wait(0.01)
    return False


def _lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class TestFunctions:
    def test_those_of_the_script_itself(self, script):
        """Plain, decorated, generator, an exception class and what each process has of its own."""
        code, out, err = script(
            """
            class Own(Exception):
                pass

            def square(n):
                return n * n

            @stage(executor="process")
            def half(n):
                if n == 16:
                    raise Own("sixteen")
                return n // 2

            def twice(n, *, own):
                yield n
                yield n + own

            def load():
                return 100

            def main():
                last = stage(twice, executor="process", per_worker={"own": load})
                steps = (stage(square, executor="process"), half, last)
                print(DataFlow((range(4), *steps))())
                try:
                    DataFlow((range(5), *steps))()
                except Own as error:
                    print(error)

            if __name__ == "__main__":
                main()
            """
        ).end()
        assert (code, err) == (0, "")
        assert out == ["[0, 100, 0, 100, 2, 102, 4, 104]", "sixteen"]

    def test_without_the_guard_the_error_says_so(self, script):
        code, _, err = script(
            """
            def square(n):
                return n * n

            print("begins")
            print(DataFlow((range(4), stage(square, executor="process")))())
            """
        ).end()
        assert code == 1
        assert "WorkerLostError" in err
        assert 'under `if __name__ == "__main__":`' in err

    @pytest.mark.parametrize("way", ["run to the end", "left early", "iterated and dropped", "failed"])
    def test_nothing_is_left_or_said_at_exit(self, script, way):
        """No leaked semaphores, no tracebacks of threads and processes, no hanging."""
        code, out, err = script(
            f"""
            way = {way!r}

            def square(n):
                if way == "failed" and n == 30:
                    raise ValueError("n is 30")
                return n * n

            def main():
                flow = DataFlow((range(100), stage(square, executor="process", concurrency=2), square))
                if way == "run to the end":
                    flow()
                elif way == "failed":
                    try:
                        flow()
                    except ValueError as error:
                        print(error)
                elif way == "left early":
                    with flow.iterate() as results:
                        print(next(results))
                else:
                    import warnings
                    warnings.simplefilter("ignore", ResourceWarning)
                    print(next(flow.iterate()))

            if __name__ == "__main__":
                main()
            """
        ).end()
        assert (code, err) == (0, "")
        assert out == {"run to the end": [], "failed": ["n is 30"]}.get(way, ["0"])


class TestExit:
    def test_a_thread_that_never_returns_does_not_hold_it_up(self, script):
        """Invariant 62: neither the loop's end nor the interpreter's, once the grace is over."""
        code, out, err = script(
            """
            begun = threading.Event()

            def stuck(n):
                begun.set()
                while True:
                    time.sleep(1000)

            async def main():
                async with DataFlow((range(3), stuck)).stream() as run:
                    while not begun.is_set():
                        await asyncio.sleep(0.01)
                    run.stop(timeout=0.1)
                    try:
                        await run.wait()
                    except TimeoutError as error:
                        print("thread stuck-0 is still in" in str(error), "time.sleep(1000)" in str(error))

            asyncio.run(main())
            print("the loop has ended", flush=True)
            """
        ).end()
        assert code == 0
        assert out == ["True True", "the loop has ended"]
        assert "Traceback" not in err

    def test_nor_does_a_process_in_the_middle_of_a_call(self, script):
        """The main thread just ends, while another one has a flow running."""
        running = script(
            """
            def wait(n):
                os.write(1, f"{os.getpid()}\\n".encode())
                while True:
                    time.sleep(1000)

            def main():
                flow = DataFlow((range(3), stage(wait, executor="process")))
                threading.Thread(target=lambda: asyncio.run(flow.run()), daemon=True).start()
                time.sleep(1000)

            signal.signal(signal.SIGUSR1, lambda *_: sys.exit(5))
            if __name__ == "__main__":
                main()
            """
        )
        pid = int(running.line())
        running.process.send_signal(signal.SIGUSR1)
        code, out, err = running.end()
        assert code == 5
        assert all_gone([pid])
        assert out == []
        assert "Traceback" not in err


WAITING = """
    def wait(n):
        # In one piece, also where nothing is buffered: three share the pipe.
        os.write(1, f"{os.getpid()}\\n".encode())
        while True:
            time.sleep(1000)

    def main():
        DataFlow((range(10), stage(wait, executor="process", concurrency=3, name="wait")))()

    if __name__ == "__main__":
        try:
            main()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            sys.exit(130)
"""


class TestSignals:
    def test_killed_its_processes_end(self, script):
        """Invariant 65: also in the middle of a call, since the parent can tell nobody."""
        running = script(WAITING)
        pids = {int(running.line()) for _ in range(3)}
        running.process.kill()
        assert all_gone(pids)

    def test_ctrl_c_is_for_it_alone(self, script):
        """The terminal sends SIGINT to all; only the script itself takes it, and ends them."""
        running = script(WAITING)
        pids = {int(running.line()) for _ in range(3)}
        os.killpg(running.process.pid, signal.SIGINT)
        code, out, err = running.end()
        assert code == 130
        assert out == ["interrupted"]
        assert err == ""
        assert all_gone(pids)

    def test_ctrl_c_while_they_are_being_started(self, script):
        running = script(WAITING)
        parent = psutil.Process(running.process.pid)
        # One of the two is the tracker of multiprocessing, which ignores the signal too.
        while len(parent.children()) < 2:
            assert running.process.poll() is None
        os.killpg(running.process.pid, signal.SIGINT)
        code, out, err = running.end()
        assert code == 130
        assert out[-1] == "interrupted"
        assert "Traceback" not in err
