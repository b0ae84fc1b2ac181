"""Options of stages as a configuration has them: numbers, words and tables become ``stage(…)`` options."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import DefinitionError
from ..from_text import Text, converted
from ..hints import hints_of
from ..naming import nearest
from ..policy import Buffer, Rate, Restart, Retry, dead_letter
from ..schemes import make_connector, read_connector
from .failure import Refused

__all__ = ("stage_options",)

_Connectors = Mapping[str, Mapping[str, Any]]

_PLAIN: Final[Mapping[str, Any]] = {
    "concurrency": int,
    "executor": str,
    "ordered": bool,
    "overflow": str,
    "redeliver": bool,
    "timeout": float,
}
_TABLES: Final[Mapping[str, tuple[Callable[..., Any], Any, tuple[str, ...]]]] = {
    "buffer": (Buffer, int, ("items", "bytes")),
    "rate": (Rate, float, ("items", "seconds", "burst")),
    "restart": (Restart, Any, ("attempts", "within", "first", "most", "jitter", "settle")),
    "retry": (Retry, int, ("attempts", "backoff", "factor", "max_backoff", "jitter", "max_elapsed")),
}
_IN_CODE: Final = ("key", "many", "name", "per_worker")


def stage_options(
    written: Mapping[str, Any], connectors: _Connectors, where: str, folder: str | os.PathLike[str] = ""
) -> dict[str, Any]:
    """Options of ``stage(…)``, from a table of a configuration.

    Args:
        written: The table.
        connectors: Options by scheme, for a dead-letter sink that is written as text.
        where: The table's place, for errors.
        folder: Where relative paths in it begin; the current folder by default.

    Raises:
        Refused: There is no such option, or its value is of another kind.
    """
    return {
        name: _option(name, value, connectors, f"{where}.{name}", folder) for name, value in written.items()
    }


def _option(
    name: str, value: Any, connectors: _Connectors, where: str, folder: str | os.PathLike[str]
) -> Any:
    try:
        if name in _PLAIN:
            return converted(Text(value) if isinstance(value, str) else value, _PLAIN[name])
        if name in _TABLES:
            make, short, fields = _TABLES[name]
            return _policy(make, value, fields, where) if isinstance(value, dict) else converted(value, short)
        if name == "on_error":
            return _on_error(value, connectors, where, folder)
    except (TypeError, ValueError) as error:
        if isinstance(error, DefinitionError):
            raise
        raise Refused(f"{where}: {error}") from None
    if name in _IN_CODE:
        raise Refused(f"{where}: this is said in the definition, stage(…, {name}=…), and nowhere else")
    known = [*_PLAIN, *_TABLES, "on_error"]
    raise Refused(f"{where}: a stage has no such option{nearest(name, known)}")


def _policy(make: Callable[..., Any], table: Mapping[str, Any], fields: tuple[str, ...], where: str) -> Any:
    hints = hints_of(make)
    for name in table:
        if name not in fields:
            raise Refused(
                f"{where}.{name}: no such key{nearest(name, fields)}; there are {', '.join(fields)}"
            )
    return make(**{name: converted(value, hints.get(name, Any)) for name, value in table.items()})


def _on_error(value: Any, connectors: _Connectors, where: str, folder: str | os.PathLike[str]) -> Any:
    if isinstance(value, str):
        return str(value)
    if (
        not isinstance(value, dict)
        or set(value) != {"dead_letter"}
        or not isinstance(value["dead_letter"], str)
    ):
        raise Refused(f'{where}: "fail", "skip" or {{ dead_letter = "jsonl:rejects.jsonl" }} is needed')
    text = read_connector(value["dead_letter"])
    return dead_letter(make_connector(text, "sink", connectors.get(text.scheme, {}), where, folder))
