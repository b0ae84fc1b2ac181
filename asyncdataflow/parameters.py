"""Run parameters: who wants which, whether all are there, and how they are passed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from .errors import ArgumentsError, ParameterError
from .graph import Graph
from .naming import callable_name, describe_item, nearest, place
from .signature import read
from .stage import Call, Parameter, Stage

__all__ = ("check", "for_call", "spread", "wanted")

_MISSING: Final = object()


def check(graph: Graph, params: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    """Refuse a run whose parameters cannot be right.

    Args:
        graph: The graph.
        params: The parameters of the run.
        resources: The dataflow's; one that is a callable takes run parameters itself.

    Raises:
        ParameterError: One that is needed is missing, or one that is given is used by nobody.
    """
    found = [*_missing(graph, params, resources), *_unused(graph, params, resources)]
    if found:
        raise ParameterError("\n".join(found))


def wanted(stage: Stage[Any, Any]) -> tuple[Parameter, ...]:
    """The parameters that a stage takes from the run: by name from params, then from resources."""
    if stage.call is None:
        return ()
    return tuple(each for each in stage.call.run_parameters if each.name not in stage.per_worker)


def for_call(
    call: Call, params: Mapping[str, Any], resources: Mapping[str, Any], per_worker_names: Collection[str]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that a call gets from the run, by place and by name.

    Args:
        call: How the callable is called.
        params: The parameters of the run.
        resources: Looked up where params has no such name.
        per_worker_names: Parameters that are filled elsewhere.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    skipped = ""
    for parameter in call.run_parameters:
        name = parameter.name
        value = _MISSING if name in per_worker_names else params.get(name, resources.get(name, _MISSING))
        if parameter.kind != "positional_only":
            if value is not _MISSING:
                kwargs[name] = value
        elif value is _MISSING:
            skipped = skipped or name
        elif skipped:
            raise ParameterError(
                f"the parameter {name!r} can only be given by place, together with {skipped!r}"
            )
        else:
            args.append(value)
    return tuple(args), kwargs


def _missing(graph: Graph, params: Mapping[str, Any], resources: Mapping[str, Any]) -> Iterator[str]:
    known = {*params, *resources}
    for stage in graph.stages:
        for each in wanted(stage):
            if each.required and each.name not in known:
                yield (
                    f"{place(stage.path, stage.title)}: it needs the parameter {each.name!r}, which is "
                    f"neither among the run's parameters nor among the resources{nearest(each.name, known)}"
                )
    for name, call in _makers(resources):
        for each in call.run_parameters:
            if each.required and each.name not in params:
                yield (
                    f"resources[{name!r}] ({callable_name(resources[name])}): it needs the parameter "
                    f"{each.name!r}, which is not among the run's{nearest(each.name, params)}"
                )


def _unused(graph: Graph, params: Mapping[str, Any], resources: Mapping[str, Any]) -> Iterator[str]:
    used = {each.name for stage in graph.stages for each in wanted(stage)}
    used.update(each.name for _, call in _makers(resources) for each in call.run_parameters)
    for name in params:
        if name not in used:
            yield f"the run parameter {name!r} is used by nobody{_why_unused(graph, name, used)}"


def _why_unused(graph: Graph, name: str, used: Collection[str]) -> str:
    for stage in graph.stages:
        where = place(stage.path, stage.title)
        if name in stage.per_worker:
            return f": the {name!r} of {where} is made by its per_worker="
        if stage.call is not None and any(each.name == name for each in stage.call.parameters):
            return (
                f": {where} has a parameter {name!r}, but takes it from its items; make it keyword-only, as "
                f"in `def {callable_name(stage.fn)}(item, *, {name})`"
            )
    hint = nearest(name, used)
    if hint:
        return hint
    return f"; the flow takes {'only ' + ', '.join(sorted(used)) if used else 'no parameters'}"


def _makers(resources: Mapping[str, Any]) -> Iterator[tuple[str, Call]]:
    """The resources that are callables, which are called like sources."""
    for name, resource in resources.items():
        if callable(resource):
            yield name, read(resource, place("resources", name))


def spread(item: Any, over: tuple[Parameter, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """An item taken apart over several parameters: a mapping by name, a tuple by position."""
    names = [each.name for each in over]
    required = [each.name for each in over if each.required]
    if isinstance(item, Mapping):
        missing = [name for name in required if name not in item]
        if missing:
            raise ArgumentsError(
                f"the item has no {', '.join(map(repr, missing))}; the stage needs {', '.join(required)}"
            )
        in_place = [each for each in over if each.kind == "positional_only" and each.name in item]
        args = tuple(item[each.name] for each in in_place)
        taken = {each.name for each in in_place}
        return args, {name: item[name] for name in names if name in item and name not in taken}
    if isinstance(item, tuple):
        if not len(required) <= len(item) <= len(over):
            raise ArgumentsError(f"a tuple of {len(item)} does not fit the parameters {', '.join(names)}")
        return item, {}
    raise ArgumentsError(
        f"the stage needs {', '.join(required)}: a mapping gives them by name, a tuple by position, "
        f"{describe_item(item)} gives neither"
    )
