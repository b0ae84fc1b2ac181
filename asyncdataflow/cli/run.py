"""``asyncdataflow run``: a flow as a service, from the command line."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from ..closing import close
from ..errors import DefinitionError, ParameterError, ShutdownTimeoutError
from ..naming import annotate
from .arguments import Asked, Prepared, flow_arguments, prepare, seconds
from .calls import serve_calls
from .failure import FAILED, reported
from .output import Results
from .parent import parent_option
from .redaction import WithoutSecrets, current_secrets
from .reload import reloading
from .standby import Standby

__all__ = ("command",)

_DRAIN: Final = 30.0
_STOP: Final = 5.0


@click.command("run")
@flow_arguments
@parent_option
@click.option(
    "--reload", is_flag=True, help="Drain and start again when a file changes; needs asyncdataflow[reload]."
)
@click.option("--drain-timeout", type=float, callback=seconds, help="Seconds to drain, 30 by default.")
@click.option("--stop-timeout", type=float, callback=seconds, help="Seconds to stop, 5 by default.")
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    help="The flow takes items: listen here for those of asyncdataflow send.",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not write the flow's results.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@reported
def command(
    asked: Asked,
    *,
    as_json: bool,
    reload: bool,
    drain_timeout: float | None,
    stop_timeout: float | None,
    socket: Path | None,
    quiet: bool,
    log_level: str,
) -> int:
    """Run a flow until it ends, or until it is told to.

    The first Ctrl-C or SIGTERM drains: sources stop, what is in flight is finished. The second stops,
    the third ends the program at once. Results are written to stdout, one a line.

    \b
    asyncdataflow run flow.py:flow limit=10
    asyncdataflow run -c flow.toml --workers fetch=8
    asyncdataflow run "jsonl:orders.jsonl | enrich | jsonl:out.jsonl" -m mymodule

    Exit code: 0 when it has ended, or was drained by SIGTERM; 1 when it failed; 2 when it cannot be
    started as it is; 3 when a deadline has passed; 130 when it was drained by Ctrl-C.
    """  # noqa: D301 - click reads the backspace: what follows is not to be filled
    # Before anything of the user's is loaded, which may take long.
    standby = Standby()
    if reload:
        beside = [asked.config.resolve().parent] if asked.config is not None else []
        folders = [asked.app_dir or Path.cwd(), *beside]
        return asyncio.run(reloading(asked, folders, on_start=standby.pass_on))
    prepared = standby.load(lambda: prepare(asked))
    if prepared is None:
        return standby.code
    _set_up_log(log_level)
    service = prepared.configuration.service
    drain = drain_timeout or service.get("drain_timeout", _DRAIN)
    stop = stop_timeout or service.get("stop_timeout", _STOP)
    return _serve(prepared, drain, stop, Results(as_json=as_json, quiet=quiet), socket, standby)


def _serve(
    prepared: Prepared, drain: float, stop: float, results: Results, socket: Path | None, standby: Standby
) -> int:
    runner, error = asyncio.Runner(), None
    try:
        code, error = runner.run(_outcome(prepared, drain, stop, results, socket, standby))
    finally:
        # Past the deadline whoever has not ended was told to, and is named in the error.
        close(runner, 0.0 if isinstance(error, ShutdownTimeoutError) else stop)
    if error is None:
        return code
    _hint(error, prepared, socket)
    try:
        raise error
    finally:
        # The error's traceback holds this frame.
        del error


async def _outcome(
    prepared: Prepared, drain: float, stop: float, results: Results, socket: Path | None, standby: Standby
) -> tuple[int, Exception | None]:
    """The exit code, or what is to be raised outside of the loop, which breaks over some errors."""
    try:
        if socket is not None:
            return await serve_calls(prepared, socket, drain, stop, on_start=standby.pass_on), None
        served = await prepared.flow.serve(
            prepared.params,
            drain_timeout=drain,
            stop_timeout=stop,
            on_result=results.write,
            on_start=standby.pass_on,
        )
    except Exception as error:  # noqa: BLE001 - raised by whom it is returned to
        return FAILED, error
    return served.exit_code, None


def _hint(error: Exception, prepared: Prepared, socket: Path | None) -> None:
    """Where the other way to run it may be meant."""
    if not isinstance(error, DefinitionError | ParameterError):
        return
    if socket is not None:
        annotate(
            error,
            "--socket is for a flow whose first step takes items; one that has a source runs without it",
        )
        return
    with suppress(DefinitionError, ParameterError):
        prepared.flow.open(prepared.params)
        annotate(
            error,
            "parameters are written NAME=VALUE; where the first step takes items instead: "
            "run it with --socket PATH, and asyncdataflow send gives some",
        )


def _set_up_log(level: str) -> None:
    """A log on stderr without secrets, unless the user's module has set one up."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(WithoutSecrets(current_secrets()))
    root.addHandler(handler)
    root.setLevel(level.upper())
