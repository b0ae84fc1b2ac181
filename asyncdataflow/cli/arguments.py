"""What commands that load a flow have in common: their arguments, and the flow that these come to."""

from __future__ import annotations

import dataclasses
import functools
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

import click

from ..dataflow import DataFlow
from ..from_text import Text, converted
from ..graph import Graph
from ..hints import hints_of
from ..overrides import overridden
from ..parameters import wanted
from ..schemes import check_options
from .configuration import Configuration, read_configuration
from .failure import Refused
from .loading import load
from .redaction import Secrets, current_secrets
from .tuning import stage_options

__all__ = ("Asked", "Prepared", "flow_arguments", "json_option", "prepare", "seconds")

_PARAMETER: Final = re.compile(r"(?P<name>[^\W\d]\w*)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class Prepared:
    """A flow with all that the command line and the configuration say of it.

    Attributes:
        flow: The flow, its stages tuned.
        params: Its run parameters.
        configuration: The rest.
    """

    flow: DataFlow[Any, Any]
    params: Mapping[str, Any] = field(repr=False)
    configuration: Configuration


@dataclass(frozen=True)
class Asked:
    """The arguments that say which flow is meant, as they were typed."""

    arguments: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    config: Path | None = None
    app_dir: Path | None = None
    workers: tuple[str, ...] = ()

    def as_typed(self) -> list[str]:
        """The arguments for a command of its own on the same flow, as which they may be typed."""
        options = [
            *(f"--module={each}" for each in self.modules),
            *(f"--config={each}" for each in (self.config,) if each is not None),
            *(f"--app-dir={each}" for each in (self.app_dir,) if each is not None),
            *(f"--workers={each}" for each in self.workers),
        ]
        return [*options, "--", *self.arguments]


def json_option(command: Callable[..., None]) -> Callable[..., None]:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(command)


def flow_arguments(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments that say which flow is meant, which the command gets as one :class:`Asked`."""
    names = [each.name for each in dataclasses.fields(Asked)]

    @functools.wraps(command)
    def with_asked(**given: Any) -> None:
        command(Asked(**{name: given.pop(name) for name in names}), **given)

    decorated: Callable[..., None] = with_asked
    decorators: Sequence[Callable[[Callable[..., None]], Callable[..., None]]] = (
        click.argument("arguments", nargs=-1, metavar="[FLOW] [NAME=VALUE]..."),
        click.option(
            "-m",
            "--module",
            "modules",
            multiple=True,
            help="Where the names of a text are looked up; FLOW is text.",
        ),
        click.option(
            "-c",
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A TOML file with the flow, its parameters and options.",
        ),
        click.option(
            "--app-dir",
            type=click.Path(path_type=Path, file_okay=False, exists=True),
            help="Where modules are looked for; the current folder, or that of the configuration.",
        ),
        click.option(
            "--workers",
            multiple=True,
            metavar="STAGE=N",
            help="How many items a stage works on at once; repeatable.",
        ),
        json_option,
    )
    for decorate in reversed(decorators):
        decorated = decorate(decorated)
    return decorated


def prepare(asked: Asked) -> Prepared:
    """The flow that the arguments come to.

    Raises:
        Refused: They name no flow, or what they say of it cannot be.
        DefinitionError: It cannot be with these options.
    """
    secrets = current_secrets()
    configuration = Configuration()
    if asked.config is not None:
        configuration = read_configuration(asked.config, secrets)
    target, written = _split(asked.arguments)
    chosen = target or configuration.flow
    if chosen is None:
        raise Refused(
            "which flow? name it: module:flow, path.py:flow, or text with -m; "
            "or give -c a configuration that has flow="
        )
    # What a configuration names lies beside it, what the command line names where that is typed.
    beside = None if target else configuration.folder
    for name, options in configuration.connectors.items():
        check_options(name, options)
    flow = load(
        chosen,
        asked.modules or ([] if target else configuration.modules),
        folder=asked.app_dir or beside,
        beside=beside,
        connectors=configuration.connectors,
    )
    tuned = _tuned(flow, configuration, asked.workers)
    return Prepared(tuned, _params(tuned, configuration, written, secrets), configuration)


def seconds(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse what is no time to wait."""
    if value is not None and not value > 0:
        raise click.BadParameter("more than 0 seconds is needed", context, parameter)
    return value


def _split(arguments: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The flow, where the first argument is one, and the parameters behind it."""
    target = arguments[0] if arguments and _PARAMETER.fullmatch(arguments[0]) is None else None
    written: dict[str, str] = {}
    for each in arguments[1:] if target is not None else arguments:
        found = _PARAMETER.fullmatch(each)
        if found is None:
            raise Refused(f"{each!r} is no parameter: write name=value; a text with blanks goes in quotes")
        if found["name"] in written:
            raise Refused(f"the parameter {found['name']!r} is given twice")
        written[found["name"]] = found["value"]
    return target, written


def _tuned(
    flow: DataFlow[Any, Any], configuration: Configuration, workers: Sequence[str]
) -> DataFlow[Any, Any]:
    options = {
        name: stage_options(
            table, configuration.connectors, f"{configuration.path}: stages.{name}", configuration.folder
        )
        for name, table in configuration.stages.items()
    }
    for each in workers:
        name, _, number = each.rpartition("=")
        if not name or not number.isdecimal() or int(number) < 1:
            raise Refused(f"--workers {each}: write STAGE=N, N at least 1")
        options[name] = {**options.get(name, {}), "concurrency": int(number)}
    try:
        return overridden(flow, options)
    except (TypeError, ValueError) as error:
        raise Refused(str(error), where=_where(flow, options, configuration)) from error


def _where(
    flow: DataFlow[Any, Any], options: Mapping[str, Mapping[str, Any]], configuration: Configuration
) -> str:
    """Which of the options are wrong by themselves, and where they are written."""
    for name, each in options.items():
        try:
            overridden(flow, {name: each})
        except (TypeError, ValueError):
            return f"{configuration.path}: stages.{name}" if name in configuration.stages else "--workers"
    return ""


def _params(
    flow: DataFlow[Any, Any], configuration: Configuration, written: Mapping[str, str], secrets: Secrets
) -> dict[str, Any]:
    """Those of the configuration, and over them those of the command line, each as its annotation says."""
    for name, value in written.items():
        secrets.notice(value, name)
    given = {**configuration.params, **{name: Text(value) for name, value in written.items()}}
    annotations = _annotations(flow.graph, flow.resources)
    params: dict[str, Any] = {}
    for name, value in given.items():
        try:
            annotation = annotations.get(name, Any)
            meant = Text(value) if isinstance(value, str) and not _takes_text(annotation) else value
            params[name] = converted(meant, annotation)
        except ValueError as error:
            raise Refused(f"the parameter {name!r}: {error}") from None
    return params


def _takes_text(annotation: Any) -> bool:
    """Whether text of a configuration may be meant as the text that it is."""
    kind = get_origin(annotation) or annotation
    if kind in (Union, types.UnionType):
        return any(_takes_text(each) for each in get_args(annotation))
    if kind is Literal:
        return False
    return kind in (str, object, Iterable) or not isinstance(kind, type)


def _annotations(graph: Graph, resources: Mapping[str, Any]) -> dict[str, Any]:
    """What each run parameter is annotated with, where it is first met with an annotation."""
    found: dict[str, Any] = {}
    for stage in graph.stages:
        hints = hints_of(stage.fn) if callable(stage.fn) else {}
        for each in wanted(stage):
            if each.name in hints:
                found.setdefault(each.name, hints[each.name])
    for resource in resources.values():
        if callable(resource):
            for name, annotation in hints_of(resource).items():
                found.setdefault(name, annotation)
    return found
