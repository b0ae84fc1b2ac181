"""What a command ends with when something is wrong: the exit code, and what is said."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, ParamSpec

import click

from ..errors import DefinitionError, MissingExtraError, ParameterError, ShutdownTimeoutError
from ..naming import describe_error
from .output import OutputClosed, say, say_as_json

__all__ = (
    "FAILED",
    "INTERRUPTED",
    "LEFT_BEHIND",
    "USAGE",
    "Refused",
    "line_of",
    "refuse",
    "reported",
    "trace_of",
)

P = ParamSpec("P")

FAILED: Final = 1
USAGE: Final = 2
LEFT_BEHIND: Final = 3
INTERRUPTED: Final = 130

_PACKAGE: Final = str(Path(__file__).resolve().parents[1])
_OURS: Final = (_PACKAGE, "<frozen importlib", importlib.__file__, contextlib.__file__)
"""Where frames begin that say nothing to a user: our own, and those that load a module or enter a block."""


class Refused(Exception):  # noqa: N818 - an ending of the command, told to whoever typed it
    """What was asked for cannot be done as it was asked: exit code 2.

    Attributes:
        where: A file and line, where there is one.
        trace: The traceback, where what is wrong lies in the user's own code.
    """

    def __init__(self, text: str, *, where: str = "", trace: str = "") -> None:
        super().__init__(text)
        self.where = where
        self.trace = trace


def reported(command: Callable[P, int | None]) -> Callable[P, None]:
    """A command's function, whose errors become an exit code and words on stderr."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except KeyboardInterrupt:
            code = INTERRUPTED
        except OutputClosed:
            code = FAILED
        except Exception as error:  # noqa: BLE001 - all that goes wrong is told here, and ends with a code
            code = _code_of(error)
            whole = kwargs.get("log_level") == "debug"
            _tell(error, code, as_json=bool(kwargs.get("as_json")), whole=whole)
        click.get_current_context().exit(code or 0)

    return run


def refuse(error: click.ClickException, *, as_json: bool) -> None:
    """Say what is wrong with the arguments, as click does."""
    if as_json:
        told = {"type": type(error).__name__, "text": error.format_message(), "notes": [], "where": ""}
        say_as_json({"error": told, "exit_code": error.exit_code}, err=True)
    else:
        said = io.StringIO()
        error.show(said)
        say(said.getvalue().rstrip(), err=True)


def line_of(error: BaseException) -> str:
    """The file and line of the user's code from which an error came, ``flow.py:12``."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        each
        for each in frames
        if not each.filename.startswith(_OURS) and not each.filename.endswith("click/core.py")
    ]
    return f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else ""


def _code_of(error: Exception) -> int:
    if isinstance(error, ShutdownTimeoutError):
        return LEFT_BEHIND
    if isinstance(error, Refused | DefinitionError | ParameterError | MissingExtraError):
        return USAGE
    return FAILED


def _tell(error: Exception, code: int, *, as_json: bool, whole: bool) -> None:
    if as_json:
        say_as_json(_as_dict(error, code), err=True)
        return
    if code == FAILED:
        text = trace_of(error, whole=whole)
    else:
        where = f"{error.where}: " if isinstance(error, Refused) and error.where else ""
        trace = error.trace if isinstance(error, Refused) else ""
        text = "\n".join([*([trace] if trace else []), f"Error: {where}{_text_of(error)}", *_notes(error)])
    say(text, err=True)


def trace_of(error: BaseException, *, whole: bool) -> str:
    """The traceback without our own frames, where any other is left or notes say what has failed.

    Args:
        error: What was raised.
        whole: With our own all the same.
    """
    told = traceback.TracebackException.from_exception(error)
    if whole:
        return "".join(told.format()).rstrip()
    seen: list[traceback.TracebackException] = []
    chain: list[traceback.TracebackException | None] = [told]
    while chain:
        each = chain.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        theirs = [frame for frame in each.stack if not frame.filename.startswith(_OURS)]
        if theirs:
            each.stack = traceback.StackSummary.from_list(theirs)
        elif told.__notes__ or each.__notes__ or isinstance(error, SyntaxError):
            # Without its heading too.
            each.stack = None  # type: ignore[assignment]
        chain += [each.__cause__, each.__context__, *(each.exceptions or ())]
    return "".join(told.format()).rstrip()


def _as_dict(error: Exception, code: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "error": {"type": type(error).__qualname__, "text": _text_of(error), "notes": _notes(error)},
        "exit_code": code,
    }
    if isinstance(error, Refused):
        told["error"]["where"] = error.where
    return told


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a hostile __str__ must not hide the rest of what is told
        return describe_error(error)


def _notes(error: BaseException) -> list[str]:
    return [str(each) for each in getattr(error, "__notes__", ())]
