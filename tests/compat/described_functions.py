"""Functions and definitions made of a description in JSON, and what came of using them.

Both sides of the comparison run this file: the tests, and the published package in an
environment of its own. It therefore imports nothing of either.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import inspect
import io
import re
from collections.abc import Callable
from typing import Any

__all__ = ("answer",)

_ADDRESS = re.compile(r"0x[0-9a-f]+")
_ERRORS = {each.__name__: each for each in (ValueError, TypeError, KeyError, RuntimeError, ZeroDivisionError)}


def answer(api: Any, question: dict[str, Any], run: Callable[..., Any] = asyncio.run) -> dict[str, Any]:
    """What the package under ``api`` makes of a question, in JSON.

    ``api`` has the three public names, and ``exceptions``, a namespace of the others. What
    the package prints is no part of the answer. ``run`` runs a coroutine to its end.
    """
    journal: list[tuple[str, dict[str, Any]]] = []
    ask = {
        "flow": _flow,
        "mapper": _mapper,
        "dispatch": _dispatch,
        "exception": _exception,
        "exceptions": _exceptions,
    }[question["ask"]]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            result = ask(api, question, journal)
            said = {"result": _text(run(result) if inspect.iscoroutine(result) else result)}
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - what is raised is the answer
            said = {"error": _described(error)}
    return {**said, "journal": [[name, _text(arguments)] for name, arguments in journal]}


def _flow(api: Any, question: dict[str, Any], journal: list[Any]) -> Any:
    definition = _element(api, question["definition"], journal)
    dataflow = api.DataFlow(definition, **question.get("options", {}))

    async def calls() -> Any:
        return [await dataflow(**kwargs) for kwargs in question["calls"]]

    return calls()


def _mapper(api: Any, question: dict[str, Any], journal: list[Any]) -> Any:
    return _function(api, question["function"], journal)(**question["kwargs"])


def _dispatch(api: Any, question: dict[str, Any], journal: list[Any]) -> Any:
    chosen = api.fdispatch(_function(api, question["function"], journal))
    returned = [
        chosen.register(key)(_function(api, each, journal)) for key, each in question["registered"].items()
    ]
    return [returned, list(chosen.registry), chosen.__name__, chosen(question["key"])(**question["kwargs"])]


def _exception(api: Any, question: dict[str, Any], journal: list[Any]) -> Any:
    raise getattr(api.exceptions, question["name"])(*question["args"], **question.get("keywords", {}))


def _exceptions(api: Any, question: dict[str, Any], journal: list[Any]) -> Any:
    found = vars(api.exceptions).items()
    return sorted(name for name, each in found if isinstance(each, type) and issubclass(each, Exception))


def _element(api: Any, described: Any, journal: list[Any]) -> Any:
    """A list describes a tuple, ``{"other": …}`` what should not stand there."""
    if isinstance(described, list):
        return tuple(_element(api, each, journal) for each in described)
    if "other" in described:
        return described["other"]
    return _function(api, described, journal)


def _function(api: Any, described: dict[str, Any], journal: list[Any]) -> Any:
    function = _made(described, journal)
    wrap = described.get("wrap")
    if wrap == "mapper":
        output = described["output"]
        output = tuple(output) if isinstance(output, list) else output
        return api.amapper(function, input=described["input"], output=output)
    if wrap == "dispatch":
        return api.fdispatch(function)("")
    if wrap == "partial":
        return functools.partial(function, *described["bound"])
    if wrap == "method":
        return _Holder(function).method
    return _Holder(function) if wrap == "object" else function


class _Holder:
    """A function as a method and as what a callable object does."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def method(self, a: Any) -> Any:
        return self._function(a)

    def __call__(self, a: Any) -> Any:
        return self._function(a)


def _made(described: dict[str, Any], journal: list[Any]) -> Any:
    """Compiled, because a ``__signature__`` would be carried along by ``functools.wraps``."""
    takes = described["takes"]
    names = [each["name"] for each in takes]

    def plain(given: dict[str, Any]) -> Any:
        journal.append((described["name"], given))
        return _returned(described["does"], given)

    async def coroutine(given: dict[str, Any]) -> Any:
        journal.append((described["name"], given))
        for _ in range(described.get("pauses", 0)):
            await asyncio.sleep(0)
        return _returned(described["does"], given)

    head, call = ("async def", "await body") if described["kind"] == "async" else ("def", "body")
    given = ", ".join(f"{name!r}: {name}" for name in names)
    source = f"{head} {described['name']}({_parameters(takes)}):\n    return {call}({{{given}}})"
    namespace: dict[str, Any] = {"body": coroutine if described["kind"] == "async" else plain}
    exec(source, namespace)
    return namespace[described["name"]]


def _parameters(takes: list[dict[str, Any]]) -> str:
    """As in a signature; each has a name, and may have a kind and a default."""
    marks = {"keyword": "*, {}", "place": "{}, /", "places": "*{}", "keywords": "**{}"}
    written = []
    for each in takes:
        name = f"{each['name']}={each['default']!r}" if "default" in each else each["name"]
        written.append(marks.get(each.get("kind"), "{}").format(name))
    return ", ".join(written)


def _returned(does: dict[str, Any], given: dict[str, Any]) -> Any:
    """What a function does: fail, return a value, or return fields made of its arguments."""
    if "raises" in does:
        kind, message = does["raises"]
        raise asyncio.CancelledError(message) if kind == "CancelledError" else _ERRORS[kind](message)
    if "value" in does:
        return does["value"]
    fields = {
        key: given.get(value, value) if isinstance(value, str) else value for key, value in does["fields"]
    }
    return collections.defaultdict(int, fields) if does.get("defaults") else fields


def _text(value: Any) -> str:
    return _ADDRESS.sub("0x", repr(value))


def _described(error: BaseException) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "bases": [each.__name__ for each in type(error).__mro__],
        "text": _ADDRESS.sub("0x", str(error)),
        "args": _text(error.args),
        "message": _ADDRESS.sub("0x", str(getattr(error, "message", None))),
    }
