"""``asyncdataflow send``: items into a running service, and what comes of each."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from ..push.front import LONGEST_LINE
from .arguments import json_option, seconds
from .failure import FAILED, Refused, reported
from .output import Results, say

__all__ = ("command",)

_LONGEST_ANSWER: Final = 1 << 26
_SHOWN: Final = 80


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

    Exit code: 0 when each item has a result; 1 when one has failed; 2 when there is no such
    service, or it has gone.
    """  # noqa: D301 - click reads the backspace: what follows is not to be filled
    # Given as arguments they are all looked at before the first is sent.
    lines: Iterable[str | bytes] = [_as_line(each, text=text) for each in items] or _typed()
    try:
        failed = asyncio.run(_send(socket, lines, timeout, Results(as_json=as_json), text=text))
    except TimeoutError:
        raise Refused(f"no answer within {timeout:g} s", where=str(socket)) from None
    except ConnectionError:
        raise Refused("the service has ended before it answered", where=str(socket)) from None
    return FAILED if failed else 0


def _typed() -> Iterator[str]:
    """The lines of stdin but those that are blank."""
    try:
        for line in sys.stdin:
            if line.strip():
                yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise Refused(f"what comes from stdin is no {error.encoding} ({error.reason})") from None


def _as_line(item: str, *, text: bool) -> bytes:
    """An item as the line that is sent."""
    value: Any = item
    if not text:
        try:
            value = json.loads(item)
        except (ValueError, RecursionError) as error:
            told = f"{item[:_SHOWN]!r} is no JSON ({error}); text is written '\"text\"', or with --text"
            raise Refused(told) from None
    line = json.dumps(value).encode() + b"\n"
    if len(line) > LONGEST_LINE:
        raise Refused(f"{item[:_SHOWN]!r}… is longer than the {LONGEST_LINE} bytes that a service reads")
    return line


async def _send(
    socket: Path, lines: Iterable[str | bytes], timeout: float | None, results: Results, *, text: bool
) -> bool:
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
            try:
                writer.write(line if isinstance(line, bytes) else _as_line(line, text=text))
            except Refused as error:
                say(f"Error: {error}", err=True)
                failed = True
                continue
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
    try:
        told = json.loads(answer)
        error = told.get("error")
        result = None if error else told["result"]
        said = f"Error: {error['type']}: {error['text']}" if error else ""
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Refused(
            "what listens there is no service that run --socket has started", where=str(socket)
        ) from None
    if error:
        say(said, err=True)
    else:
        results.write(result)
    return bool(error)
