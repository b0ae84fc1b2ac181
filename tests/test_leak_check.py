"""The leak check sees what it says it sees, and nothing where there is nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time

import pytest

from tests.leak_check import PARTS, allowed_parts, watch

NOTHING = frozenset[str]()
SPAWN_AND_LEAVE = "import sys; sys.stdin.read()"


class Leaks:
    """Each leaves one thing, and can take it back."""

    def __init__(self):
        self.undo = []

    def tasks(self):
        async def main():
            self.undo.append(asyncio.create_task(asyncio.Event().wait()).cancel)

        asyncio.run(main())

    def generators(self):
        async def numbers():
            yield 1
            yield 2

        async def main():
            kept = numbers()
            self.undo.append(kept.aclose)
            await anext(kept)

        asyncio.run(main())

    def threads(self):
        release = threading.Event()
        thread = threading.Thread(target=release.wait)
        thread.start()
        self.undo += [thread.join, release.set]

    def files(self):
        ends = os.pipe()
        self.undo += [lambda end=end: os.close(end) for end in ends]

    def children(self):
        child = subprocess.Popen([sys.executable, "-c", SPAWN_AND_LEAVE], stdin=subprocess.PIPE)
        self.undo.append(child.communicate)

    def log(self):
        async def main():
            asyncio.get_running_loop().call_soon(divmod, 1, 0)
            await asyncio.sleep(0)

        asyncio.run(main())


@pytest.fixture
def leaks(monkeypatch):
    monkeypatch.setattr("tests.leak_check._PATIENCE", 0.01)
    made = Leaks()
    yield made
    for undo in reversed(made.undo):
        undone = undo()
        if asyncio.iscoroutine(undone):
            undone.close()


@pytest.mark.leaks(
    "tasks", "generators", "log", reason="the outer check sees them too, at no time to undo them"
)
@pytest.mark.parametrize("part", PARTS)
class TestEachPart:
    def test_is_seen(self, leaks, part):
        with pytest.raises(AssertionError, match=rf"left behind\n(?s:.*)  {part}: "), watch(NOTHING):
            getattr(leaks, part)()

    def test_can_be_allowed(self, leaks, part):
        also = {"files"} if part == "children" else set()  # the pipe to the child
        with watch(frozenset({part} | also)):
            getattr(leaks, part)()


def test_what_cleans_up_is_not_complained_of():
    async def numbers():
        yield 1
        yield 2

    async def main():
        async for number in numbers():
            if number == 2:
                break
        await asyncio.gather(asyncio.to_thread(len, ()), asyncio.sleep(0))

    with watch(NOTHING):
        asyncio.run(main())
        with open(os.devnull) as file:
            file.read()
        subprocess.run([sys.executable, "-c", ""], check=True)


def test_a_thread_on_its_way_out_is_waited_for():
    with watch(NOTHING):
        threading.Thread(target=time.sleep, args=(0.02,)).start()


@pytest.mark.parametrize(
    ("mark", "right"),
    [
        (pytest.mark.leaks("threads", reason="because"), True),
        (pytest.mark.leaks("threads"), False),
        (pytest.mark.leaks(reason="because"), False),
        (pytest.mark.leaks("treads", reason="because"), False),
    ],
)
def test_a_marker_needs_known_parts_and_a_reason(request, mark, right):
    class Item:
        nodeid = "test_it"

        def iter_markers(self, name):
            return [mark.mark]

    if right:
        assert allowed_parts(Item()) == {"threads"}
    else:
        with pytest.raises(pytest.UsageError, match="and a reason"):
            allowed_parts(Item())
