"""Connectors by the text that names them: ``jsonl:orders.jsonl``, ``pg:events?columns=id,body``."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

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


def make_connector(
    text: ConnectorText, role: Literal["source", "sink"], configured: Mapping[str, Any], place: str
) -> Any:
    """The source or sink that a text stands for.

    Args:
        text: The text.
        role: What it is to be.
        configured: Options of the scheme that are given elsewhere; those of the other role are passed over.
        place: Where the text stands, for errors.

    Raises:
        DefinitionError: There is no such scheme, role or option, or the connector refuses its options.
        MissingExtraError: Its client library is not installed.
    """
    where = f"{place} ({text.scheme})"
    scheme = scheme_of(text.scheme, where)
    end = scheme.source if role == "source" else scheme.sink
    if end is None:
        raise DefinitionError(f"{where}: this connector is no {role}")
    given = {**_of_this_end(scheme, end, configured, where), **_as_text(text.options)}
    try:
        return end.make(**_arguments(end, text.target, given, where))
    except MissingExtraError:
        raise
    except (TypeError, ValueError) as error:
        if isinstance(error, DefinitionError):
            raise
        raise DefinitionError(f"{where}: {error}") from error


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


def _of_this_end(scheme: Scheme, end: End, configured: Mapping[str, Any], where: str) -> dict[str, Any]:
    ours = {each.name for each in options_of(end)}
    other = scheme.sink if end is scheme.source else scheme.source
    known = ours | ({each.name for each in options_of(other)} if other is not None else set())
    for name in configured:
        if name not in known:
            raise DefinitionError(f"{where}: it has no option {name!r}{nearest(name, known)}")
    return {name: value for name, value in configured.items() if name in ours}


def _as_text(options: Mapping[str, str]) -> dict[str, Text]:
    return {name: Text(value) for name, value in options.items()}


def _arguments(end: End, target: str, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = {each.name: each for each in options_of(end)}
    hints = hints_of(end.make)
    arguments: dict[str, Any] = {}
    for name, value in {end.target: Text(target), **given}.items():
        if name not in known and name != end.target:
            raise DefinitionError(f"{where}: it has no option {name!r}{nearest(name, known)}")
        try:
            arguments[name] = converted(value, hints.get(name, str if name == end.target else Any))
        except ValueError as error:
            raise DefinitionError(
                f"{where}: {'' if name == end.target else 'option '}{name}: {error}"
            ) from None
    missing = [name for name, each in known.items() if each.default is each.empty and name not in arguments]
    if missing:
        raise DefinitionError(
            f"{where}: it needs the option {missing[0]}, as in ?{missing[0]}=…, or among the "
            "options of its scheme"
        )
    return arguments
