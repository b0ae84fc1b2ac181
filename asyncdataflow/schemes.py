"""Connectors by the text that names them: ``jsonl:orders.jsonl``, ``pg:events?columns=id,body``."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

from .connectors.scheme import End, Scheme
from .errors import DefinitionError, MissingExtraError
from .from_text import Text, converted
from .hints import hints_of
from .naming import nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = (
    "CONNECTOR",
    "GROUP",
    "ConnectorText",
    "SchemeOptions",
    "check_options",
    "make_connector",
    "options_of",
    "read_connector",
    "scheme_names",
    "scheme_of",
)

GROUP: Final = "asyncdataflow.connectors"
"""The entry-point group in which other packages name their schemes."""

CONNECTOR: Final = r'[^\W\d][\w+-]*:(?:"[^"]*"|[^\s,|()"?])+(?:\?(?:"[^"]*"|[^\s,|()"])*)?'
"""A connector in a text: a regular expression."""

_OWN: Final = {
    "jsonl": ".connectors.json_lines",
    "nats": ".connectors.nats",
    "pg": ".connectors.postgres",
    "sqlite": ".connectors.sqlite",
}
_PARTS: Final = re.compile(
    r'(?P<scheme>[^:]+):(?P<target>(?:"[^"]*"|[^"?])+)(?:\?(?P<options>.*))?', re.DOTALL
)
# Nothing, and addresses (`:memory:`): no paths, which a connector itself takes or refuses.
_LEFT_ALONE: Final = re.compile(r"\w*:|$")


@dataclass(frozen=True, slots=True)
class ConnectorText:
    """A connector as it is written; its options may be secret."""

    scheme: str
    target: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_connector(text: str) -> ConnectorText:
    """Take a connector's text apart.

    Raises:
        ValueError: It is none.
    """
    parts = _PARTS.fullmatch(text)
    if parts is None or re.fullmatch(CONNECTOR, text) is None:
        raise ValueError("a connector is written scheme:target, or scheme:target?option=value&option=value")
    written = (parts["options"] or "").replace('"', "")
    return ConnectorText(parts["scheme"], parts["target"].replace('"', ""), _options(written))


def _options(written: str) -> dict[str, str]:
    # Loaded for those who write connectors as text: importing the package must not cost everybody that.
    from urllib.parse import parse_qsl  # noqa: PLC0415

    try:
        return dict(parse_qsl(written, keep_blank_values=True, strict_parsing=True)) if written else {}
    except ValueError:
        raise ValueError("options are written ?option=value&option=value") from None


class SchemeOptions(dict[str, Any]):
    """Options of a scheme as a file has them.

    Args:
        options: The options.
        place: Where they are written, for errors: ``flow.toml: connectors.pg``.
        folder: Where relative paths among them begin; the current folder by default.
    """

    def __init__(self, options: Mapping[str, Any], *, place: str, folder: str = "") -> None:
        super().__init__(options)
        self.place = place
        self.folder = folder


def make_connector(
    text: ConnectorText,
    role: Literal["source", "sink"],
    configured: Mapping[str, Any],
    place: str,
    folder: str | os.PathLike[str] = "",
) -> Any:
    """The source or sink that a text stands for.

    Args:
        text: The text.
        role: What it is to be.
        configured: Options of the scheme that are given elsewhere; those of the other role are passed over.
        place: Where the text stands, for errors.
        folder: Where relative paths in the text begin; the current folder by default.

    Raises:
        DefinitionError: There is no such scheme, role or option, or the connector refuses its options.
        MissingExtraError: Its client library is not installed.
    """
    where = f"{place} ({text.scheme})"
    scheme = scheme_of(text.scheme, where)
    end = scheme.source if role == "source" else scheme.sink
    if end is None:
        raise DefinitionError(f"{where}: this connector is no {role}")
    elsewhere = configured if isinstance(configured, SchemeOptions) else SchemeOptions(configured, place="")
    _refuse_unknown(elsewhere, _known(scheme), elsewhere.place, where)
    ours = _known(Scheme(source=end))
    written = _as_text(text.options)
    _refuse_unknown(written, ours, "", where)
    theirs = {name: value for name, value in elsewhere.items() if name in ours and name not in written}
    arguments = {
        **_arguments(end, theirs, elsewhere.place, where, elsewhere.folder),
        **_arguments(end, {end.target: Text(text.target), **written}, "", where, folder),
    }
    _refuse_missing(end, arguments, where)
    try:
        return end.make(**arguments)
    except MissingExtraError:
        raise
    except (TypeError, ValueError) as error:
        if isinstance(error, DefinitionError):
            raise
        given = f" (options of {elsewhere.place}: {', '.join(theirs)})" if elsewhere.place and theirs else ""
        raise DefinitionError(f"{where}: {error}{given}") from error


def check_options(name: str, options: SchemeOptions) -> None:
    """Refuse options that their scheme does not have, and a scheme that is not there.

    Raises:
        DefinitionError: With their place, and the nearest that there is.
    """
    _refuse_unknown(options, _known(scheme_of(name, options.place)), options.place, name)


def scheme_names() -> list[str]:
    """All schemes that are there: our own, and those of the packages that are installed."""
    return sorted({*_OWN, *(each.name for each in _others())})


def scheme_of(name: str, where: str = "connector") -> Scheme:
    """What a scheme stands for.

    Raises:
        DefinitionError: There is none of that name, or it cannot be loaded.
    """
    if name in _OWN:
        found: Any = importlib.import_module(_OWN[name], __package__).SCHEME
        return found if isinstance(found, Scheme) else Scheme()
    for entry in (each for each in _others() if each.name == name):
        try:
            found = entry.load()
        except Exception as error:
            raise DefinitionError(f"{where}: {entry.value} cannot be loaded: {error!r}") from error
        if not isinstance(found, Scheme):
            raise DefinitionError(f"{where}: {entry.value} is no asyncdataflow.connectors.scheme.Scheme")
        return found
    known = scheme_names()
    raise DefinitionError(
        f"{where}: there is no connector of this name; there are {', '.join(known)}{nearest(name, known)}"
    )


def _others() -> Iterable[EntryPoint]:
    from importlib import metadata  # noqa: PLC0415 - as above

    return metadata.entry_points(group=GROUP)


def options_of(end: End) -> Iterator[inspect.Parameter]:
    """The parameters that are written as options."""
    for each in inspect.signature(end.make).parameters.values():
        if each.name != end.target and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            yield each


def _known(scheme: Scheme) -> set[str]:
    """The names of its options, at both ends."""
    ends = [each for each in (scheme.source, scheme.sink) if each is not None]
    return {each.name for end in ends for each in options_of(end)}


def _refuse_unknown(options: Iterable[str], known: Iterable[str], place: str, where: str) -> None:
    for name in options:
        if name not in known:
            hint = nearest(name, sorted(known))
            raise DefinitionError(
                f"{place}.{name}: no such option{hint}"
                if place
                else f"{where}: it has no option {name!r}{hint}"
            )


def _as_text(options: Mapping[str, str]) -> dict[str, Text]:
    return {name: Text(value) for name, value in options.items()}


def _arguments(
    end: End, given: Mapping[str, Any], place: str, where: str, folder: str | os.PathLike[str]
) -> dict[str, Any]:
    """Each as its annotation says, and relative paths within their folder."""
    hints = hints_of(end.make)
    arguments: dict[str, Any] = {}
    for name, value in given.items():
        annotation = hints.get(name, str if name == end.target else Any)
        try:
            arguments[name] = _within(folder, _value(value, annotation), annotation)
        except ValueError as error:
            option = name if name == end.target else f"option {name}"
            raise DefinitionError(
                f"{place}.{name}: {error}" if place else f"{where}: {option}: {error}"
            ) from None
    return arguments


def _value(value: Any, annotation: Any) -> Any:
    made = converted(
        Text(value) if isinstance(value, str) and annotation in (bool, int, float) else value, annotation
    )
    if annotation is bool and not isinstance(made, bool):
        raise ValueError("true or false is needed")
    return made


def _within(folder: str | os.PathLike[str], value: Any, annotation: Any) -> Any:
    if not folder or not _is_path(annotation):
        return value
    if isinstance(value, list):
        return [_within(folder, each, annotation) for each in value]
    if isinstance(value, str | os.PathLike) and _LEFT_ALONE.match(os.fspath(value)) is None:
        return os.path.join(folder, value)
    return value


def _is_path(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    if kind in (Union, types.UnionType):
        return any(_is_path(each) for each in get_args(annotation))
    return isinstance(kind, type) and issubclass(kind, os.PathLike)


def _refuse_missing(end: End, arguments: Mapping[str, Any], where: str) -> None:
    for each in options_of(end):
        if each.default is each.empty and each.name not in arguments:
            raise DefinitionError(
                f"{where}: it needs the option {each.name}, as in ?{each.name}=…, or among the "
                "options of its scheme"
            )
