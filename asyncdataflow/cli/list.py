"""``asyncdataflow list``: the connectors and operators that are there, with their options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from .. import operators
from ..connectors.scheme import End
from ..errors import DefinitionError
from ..naming import nearest
from ..schemes import options_of, scheme_names, scheme_of
from .arguments import json_option
from .failure import Refused, reported
from .output import say, say_as_json

__all__ = ("command",)


@click.command("list")
@click.argument("names", nargs=-1)
@json_option
@reported
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List connectors and operators, or those of these NAMES.

    All with their options. Connectors are written scheme:target?option=value in the text notation.
    Those of other packages are in the entry-point group asyncdataflow.connectors.
    """
    entries = [*_connectors(), *_operators()]
    known = {each["name"] for each in entries}
    for name in names:
        if name not in known:
            raise Refused(f"there is no connector or operator {name!r}{nearest(name, known)}")
    chosen = [each for each in entries if not names or each["name"] in names]
    if as_json:
        say_as_json(chosen)
    else:
        say("\n".join(_lines(chosen, full=bool(names))))


def _connectors() -> Iterator[dict[str, Any]]:
    for name in scheme_names():
        try:
            scheme = scheme_of(name)
        except DefinitionError as error:
            yield {"name": name, "kind": "connector", "error": str(error)}
            continue
        for role, end in (("source", scheme.source), ("sink", scheme.sink)):
            if end is not None:
                yield _connector(name, role, end)


def _connector(name: str, role: str, end: End) -> dict[str, Any]:
    return {
        "name": name,
        "kind": role,
        "written": f"{name}:{end.target}",
        "made_by": f"{end.make.__module__}.{end.make.__qualname__}",
        "about": _first_line(end.make),
        "options": [_option(each) for each in options_of(end)],
    }


def _operators() -> Iterator[dict[str, Any]]:
    for name in operators.__all__:
        operator = getattr(operators, name)
        if callable(operator):
            yield {
                "name": name,
                "kind": "operator",
                "written": f"{name}{'' if operator in operators.BARE else '(…)'}",
                "made_by": f"asyncdataflow.{name}",
                "about": _first_line(operator),
                "options": [_option(each) for each in _parameters(operator)],
            }


def _parameters(operator: Callable[..., Any]) -> Iterable[inspect.Parameter]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return (each for each in inspect.signature(operator).parameters.values() if each.kind not in kinds)


def _option(parameter: inspect.Parameter) -> dict[str, Any]:
    annotation = parameter.annotation
    return {
        "name": parameter.name,
        "type": "" if annotation is parameter.empty else str(annotation),
        "required": parameter.default is parameter.empty,
        "default": None if parameter.default is parameter.empty else repr(parameter.default),
    }


def _first_line(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def _lines(entries: list[dict[str, Any]], *, full: bool) -> Iterator[str]:
    for entry in entries:
        if "error" in entry:
            yield f"{entry['name']:<16} {entry['kind']:<9} {entry['error']}"
            continue
        yield f"{entry['written']:<16} {entry['kind']:<9} {entry['about']}"
        if full:
            for each in entry["options"]:
                default = "required" if each["required"] else f"default {each['default']}"
                yield f"    {each['name']}: {each['type']}  ({default})"
        elif entry["options"]:
            yield f"{'':<27}{', '.join(each['name'] for each in entry['options'])}"
