"""``asyncdataflow replay``: dead letters out of a file, back to the stages where they failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click

from ..abc import AckableSource, Positions, Subscription
from ..connectors.json_lines import JsonLinesSource
from ..dataflow import DataFlow
from ..message import Answer, Message
from ..parameters import wanted
from ..replaying import replayed
from .arguments import Asked, flow_arguments, prepare
from .failure import Refused, reported
from .output import Results

__all__ = ("command",)


@click.command("replay")
@click.argument("letters", type=click.Path(path_type=Path, dir_okay=False))
@flow_arguments
@click.option("--again", is_flag=True, help="From the file's beginning, also what was replayed before.")
@click.option("-q", "--quiet", is_flag=True, help="Do not write the flow's results.")
@reported
def command(
    asked: Asked,
    *,
    letters: Path,
    as_json: bool,
    again: bool,
    quiet: bool,
) -> int:
    """Replay the dead letters in a file of JSON lines.

    Each goes back to the stage where it failed.

    Letters that are there when it begins are replayed once: how far they are done is kept in
    LETTERS.replayed. What fails again goes to the flow's dead-letter sinks again, and is there for the next
    time, also where that is the same file.
    """
    if not letters.is_file():
        raise Refused("there is no such file", where=str(letters))
    prepared = prepare(asked)
    positions = None if again else f"{letters}.replayed"
    source = _Bounded(JsonLinesSource(letters.resolve(), positions=positions), letters.stat().st_size)
    params = _of_part(prepared.flow, prepared.params, source)
    error = asyncio.run(_replay(prepared.flow, source, params, Results(as_json=as_json, quiet=quiet)))
    if error is not None:
        raise error
    return 0


async def _replay(
    flow: DataFlow[Any, Any], source: AckableSource[Any], params: dict[str, Any], results: Results
) -> Exception | None:
    try:
        async with flow.replay(source, params) as run:
            async for result in run:
                results.write(result)
    except Exception as error:  # noqa: BLE001 - raised outside asyncio.run, which breaks over some errors
        return error
    return None


def _of_part(flow: DataFlow[Any, Any], params: Any, source: AckableSource[Any]) -> dict[str, Any]:
    """The parameters of the stages that take part: those of the flow's sources do not."""
    taking = {each.name for stage in replayed(flow.graph, source).stages for each in wanted(stage)}
    known = {each.name for stage in flow.graph.stages for each in wanted(stage)}
    return {name: value for name, value in params.items() if name in taking or name not in known}


class _Bounded(AckableSource[Any]):
    """A file's letters up to where it ended: what is appended meanwhile is for the next time.

    Args:
        source: The file.
        end: Its size.
    """

    has_positions = True

    def __init__(self, source: JsonLinesSource, end: int) -> None:
        self.max_unacked = source.max_unacked
        self._source = source
        self._end = end

    @asynccontextmanager
    async def open(self, after: Positions | None = None) -> AsyncIterator[Subscription[Any]]:
        """Open the file."""
        async with self._source.open(after) as session:
            yield _Session(session, self._end)


class _Session:
    def __init__(self, session: Subscription[Any], end: int) -> None:
        self._session = session
        self._messages = aiter(session)
        self._end = end

    def __aiter__(self) -> AsyncIterator[Message[Any]]:
        return self

    async def __anext__(self) -> Message[Any]:
        message = await anext(self._messages)
        offset, _ = message.position
        if offset > self._end:
            raise StopAsyncIteration
        return message

    async def answer(self, answers: Sequence[Answer]) -> None:
        await self._session.answer(answers)
