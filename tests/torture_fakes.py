"""Packages that do wrong on purpose, for the torture table's child; which one, the run's number says."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

from torture.leaks import run_watched


def right(case, grace):
    for item in case.numbers():
        if case.take(item):
            break


def hangs(case, grace):
    threading.Event().wait()


def loses(case, grace):
    for item in case.numbers():
        if item != 7:
            case.take(item)


def doubles(case, grace):
    right(case, grace)
    case.take(7)


def swallows(case, grace):
    for item in case.numbers():
        if item != case.special:
            case.take(item)


def raises(case, grace):
    right(case, grace)
    raise OSError("of its own")


def leaks_a_thread(case, grace):
    right(case, grace)
    threading.Thread(target=threading.Event().wait).start()


def leaks_a_process(case, grace):
    right(case, grace)
    case.kept = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def leaks_a_task(case, grace):
    async def main():
        right(case, grace)
        case.kept = asyncio.create_task(asyncio.Event().wait())

    run_watched(case, main, grace)


def leaks_a_source(case, grace):
    case.kept = case.numbers()
    for item in case.kept:
        if case.take(item):
            break


def pulls_all(case, grace):
    items = list(case.numbers())
    for item in items:
        case.take(item)


def dies(case, grace):
    os._exit(3)


def ignores_ctrl_c(case, grace):
    try:
        right(case, grace)
    except KeyboardInterrupt:
        return


FAKES = {
    each.__name__: each
    for each in (
        hangs,
        right,
        loses,
        doubles,
        swallows,
        raises,
        leaks_a_thread,
        leaks_a_process,
        leaks_a_task,
        leaks_a_source,
        pulls_all,
        dies,
        ignores_ctrl_c,
    )
}


def run(case, grace):
    list(FAKES.values())[case.number](case, grace)
