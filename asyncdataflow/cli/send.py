"""``asyncdataflow send``: items into a running service, and what comes of each."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from .arguments import json_option, seconds
from .failure import FAILED, Refused, reported
from .redaction import say
from .results import OutputClosed, Results

__all__ = ("command",)

_LONGEST_ANSWER: Final = 1 << 26


@click.command("send")
@click.argument("socket", type=click.Path(path_type=Path))
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@click.option("--text", is_flag=True, help="Items are text as it stands, and not JSON.")
@click.option("--timeout", type=float, callback=seconds, help="Seconds to wait for each answer.")
@json_option
@reported
def command(socket: Path, items: tuple[str, ...], *, text: bool, timeout: float | None, as_json: bool) -> int:
    """Give items to a service, and write what comes of each.

    It listens on SOCKET. Items are JSON, given as arguments or, without any, as the lines of
    stdin. One that fails is told of on stderr, and the others are sent all the same.

    \b
    asyncdataflow run flow.py:flow --socket service.sock
    asyncdataflow send service.sock '{"id": 7}'
    asyncdataflow send service.sock --text hello

    Exit code: 0 when each item has a result; 1 when one has failed; 2 when there is no such service.
    """  # noqa: D301 - click reads the backspace: what follows is not to be filled
    lines = items or (line.rstrip("\n") for line in sys.stdin)
    try:
        failed = asyncio.run(_send(socket, _read(lines, text=text), timeout, Results(as_json=as_json)))
    except OutputClosed:
        return FAILED
    except TimeoutError:
        raise Refused(f"no answer within {timeout:g} s", where=str(socket)) from None
    return FAILED if failed else 0


def _read(lines: Iterable[str], *, text: bool) -> Iterable[bytes]:
    """Each item as the line that is sent."""
    for line in lines:
        item: Any = line
        if not text:
            try:
                item = json.loads(line)
            except ValueError as error:
                raise Refused(
                    f"{line!r} is no JSON ({error}); text is written '\"{line}\"', or with --text"
                ) from None
        yield json.dumps(item, ensure_ascii=False).encode() + b"\n"


async def _send(socket: Path, lines: Iterable[bytes], timeout: float | None, results: Results) -> bool:
    """Send one item after another; whether one has failed."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket), limit=_LONGEST_ANSWER)
    except OSError as error:
        told = error.strerror or str(error)
        told = f"no service listens there ({told}); start one with run --socket"
        raise Refused(told, where=str(socket)) from None
    failed = False
    try:
        for line in lines:
            writer.write(line)
            await writer.drain()
            async with asyncio.timeout(timeout):
                answer = await reader.readline()
            failed = _tell(answer, socket, results) or failed
    finally:
        writer.close()
    return failed


def _tell(answer: bytes, socket: Path, results: Results) -> bool:
    """Write an answer; whether it is a failure."""
    if not answer:
        raise Refused("the service has ended before it answered", where=str(socket))
    told = json.loads(answer)
    if "error" not in told:
        results.write(told["result"])
        return False
    say(f"Error: {told['error']['type']}: {told['error']['text']}", err=True)
    return True
