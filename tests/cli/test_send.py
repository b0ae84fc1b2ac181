"""``asyncdataflow send``, and ``run --socket`` that it talks to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from asyncdataflow import DataFlow
from asyncdataflow.cli.main import main
from asyncdataflow.push.front import LONGEST_LINE, listening
from tests.source import ROOT

FLOW = """
from asyncdataflow import DataFlow
from asyncdataflow.operators import map_batches

async def check(order):
    if order["amount"] < 0:
        raise ValueError("less than nothing")
    return order["amount"]

def doubled(amounts):
    return [2 * each for each in amounts]

flow = DataFlow((check, map_batches(doubled, 8, within=0.001)))
"""


async def double(n):
    if n == 13:
        raise ValueError("thirteen")
    return n * 2


@pytest.fixture
def service(tmp_path):
    """A service in a thread of its own; the path of its socket."""
    path = tmp_path / "service.sock"
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve():
        async with DataFlow((double,)).open() as run, listening(run, path):
            ready.set()
            await stop.wait()

    def live():
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=live)
    thread.start()
    assert ready.wait(10)
    yield path
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def send(*arguments, stdin=None):
    return CliRunner().invoke(main, ["send", *map(str, arguments)], input=stdin)


def test_each_item_has_its_line(service):
    done = send(service, "4", '"ab"', "[1, 2]")
    assert (done.exit_code, done.stdout) == (0, "8\nabab\n[1, 2, 1, 2]\n")
    done = send(service, "--json", '"ab"', "[1, 2]")
    assert [json.loads(line) for line in done.stdout.splitlines()] == ["abab", [1, 2, 1, 2]]


def test_without_arguments_items_are_the_lines_of_stdin(service):
    done = send(service, stdin="1\n2\n3\n")
    assert (done.exit_code, done.stdout) == (0, "2\n4\n6\n")
    done = send(service, "--text", stdin="a\nb c\n")
    assert (done.exit_code, done.stdout) == (0, "aa\nb cb c\n")


def test_an_item_that_fails_is_told_and_the_others_are_sent(service):
    done = send(service, "1", "13", "3")
    assert (done.exit_code, done.stdout) == (1, "2\n6\n")
    assert "Error: ValueError: ValueError('thirteen')" in done.stderr


def test_what_is_no_json_is_refused(service):
    done = send(service, "hello")
    assert done.exit_code == 2
    assert "--text" in done.stderr


def test_of_many_items_none_is_sent_where_one_is_no_json(service):
    done = send(service, "1", "hello")
    assert (done.exit_code, done.stdout) == (2, "")


def test_on_stdin_blank_lines_are_passed_over_and_one_that_is_no_json_is_told(service):
    done = send(service, stdin="1\n\nhello\n2\n")
    assert (done.exit_code, done.stdout) == (1, "2\n4\n")
    assert "'hello' is no JSON" in done.stderr


def test_an_item_that_no_service_would_read_is_refused(service):
    done = send(service, json.dumps("x" * LONGEST_LINE))
    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr) < 500


def test_half_a_character_is_the_services_to_judge(service):
    done = send(service, '"\\ud800"')
    assert done.exit_code == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("answer", [b"220 mail\n", b"[1]\n", b"{}\n", b"1\n", b""])
def test_what_is_no_service_is_told_apart(tmp_path, answer):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other.sock"))
        other.listen()

        def play():
            client, _ = other.accept()
            with client:
                client.recv(100)
                client.sendall(answer)

        thread = threading.Thread(target=play)
        thread.start()
        done = send(tmp_path / "other.sock", "1")
        thread.join()
    assert done.exit_code == 2
    assert "other.sock" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_service_it_says_how_to_start_one(tmp_path):
    done = send(tmp_path / "none.sock", "1")
    assert done.exit_code == 2
    assert "run --socket" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_flow_runs_as_a_service_that_items_are_sent_into(tmp_path, number, code):
    (tmp_path / "orders.py").write_text(FLOW)
    path = tmp_path / "orders.sock"
    command = [sys.executable, "-m", "asyncdataflow"]
    running = subprocess.Popen(
        [*command, "run", "orders.py:flow", "--socket", str(path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # The file is there a moment before somebody listens.
        assert any("listening on" in line for line in running.stderr)
        done = send(path, '{"amount": 21}', '{"amount": -1}')
        assert (done.exit_code, done.stdout) == (1, "42\n"), done.stderr
        assert "less than nothing" in done.stderr
        running.send_signal(number)
        assert running.wait(20) == code, running.stderr.read()
        assert not path.exists()
    finally:
        running.kill()
        running.communicate()
