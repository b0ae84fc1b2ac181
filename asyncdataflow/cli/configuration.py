"""The configuration of a flow: a TOML file with parameters, options of stages and of connectors.

``${VAR}`` and ``${VAR:default}`` are put in after the file was read, into single values only, so that what a
variable holds can never be more than a value. ``$$`` is a dollar sign.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..from_text import Text, converted
from ..naming import nearest
from ..schemes import SchemeOptions
from .failure import Refused
from .redaction import Secrets

__all__ = ("Configuration", "read_configuration")

_VARIABLE: Final = re.compile(
    r"\$(?:\$|\{(?P<name>[A-Za-z_]\w*)(?::(?P<blank>\s*)(?P<default>[^{}]*))?\}|(?P<other>\{[^}]*\}?)?)"
)
_LOADED: Final = ("flow", "modules")
_OF_SHELLS: Final = ("-", "=", "?", "+")
"""Behind the colon these mean something else in a shell."""
_KINDS: Final[Mapping[str, type]] = {
    "flow": str,
    "modules": list,
    "params": dict,
    "stages": dict,
    "connectors": dict,
    "service": dict,
}
_TOLD: Final = {"str": "text", "list": "a list", "dict": "a table"}
_SERVICE: Final[Mapping[str, Any]] = {"drain_timeout": float, "stop_timeout": float}


@dataclass(frozen=True)
class Configuration:
    """What a configuration says; an empty one says nothing.

    Attributes:
        path: Its file, where there is one.
        flow: The flow, as on the command line; files in it are beside the configuration.
        modules: Where the names of a text are looked up.
        params: Run parameters.
        stages: Options by stage.
        connectors: Options by scheme.
        service: ``drain_timeout`` and ``stop_timeout``, in seconds.
    """

    path: Path | None = None
    flow: str | None = None
    modules: list[str] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict, repr=False)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    connectors: dict[str, SchemeOptions] = field(default_factory=dict, repr=False)
    service: dict[str, float] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where relative paths in it begin: its own folder."""
        return Path.cwd() if self.path is None else self.path.resolve().parent


def read_configuration(
    path: Path, secrets: Secrets, environment: Mapping[str, str] = os.environ
) -> Configuration:
    """Read a configuration.

    Args:
        path: The file.
        secrets: Told of every value whose name says that it is secret.
        environment: The variables.

    Raises:
        Refused: It cannot be read, has what it should not, or names a variable that is not set.
    """
    try:
        with path.open("rb") as file:
            written = tomllib.load(file)
    except OSError as error:
        raise Refused(f"{error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused(str(error), where=str(path)) from None
    except RecursionError:
        raise Refused("it nests too deep", where=str(path)) from None
    _refuse_unknown(written, path)
    told = _Filled(path, secrets, environment).table(written, "")
    for name in ("stages", "connectors"):
        for key, value in told.get(name, {}).items():
            if not isinstance(value, dict):
                raise Refused(f"{name}.{key}: a table of options is needed", where=str(path))
    told["connectors"] = {
        name: SchemeOptions(table, place=f"{path}: connectors.{name}", folder=str(path.resolve().parent))
        for name, table in told.get("connectors", {}).items()
    }
    told["service"] = {name: _seconds(name, value, path) for name, value in told.get("service", {}).items()}
    return Configuration(path, **told)


def _refuse_unknown(written: Mapping[str, Any], path: Path) -> None:
    for name, value in written.items():
        if name not in _KINDS:
            raise Refused(f"{name}: no such key{nearest(name, _KINDS)}", where=str(path))
        if not isinstance(value, _KINDS[name]):
            raise Refused(f"{name}: {_TOLD[_KINDS[name].__name__]} is needed", where=str(path))
    if not all(isinstance(each, str) for each in written.get("modules", [])):
        raise Refused("modules: each is text, the name of a module or its file", where=str(path))
    for name in written.get("service", {}):
        if name not in _SERVICE:
            raise Refused(f"service.{name}: no such key{nearest(name, _SERVICE)}", where=str(path))


def _seconds(name: str, value: Any, path: Path) -> float:
    try:
        seconds = converted(value, float)
    except ValueError as error:
        raise Refused(f"service.{name}: {error}", where=str(path)) from None
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds > 0:
        raise Refused(f"service.{name}: more than 0 seconds is needed", where=str(path))
    return float(seconds)


class _Filled:
    """Tables with their variables put in, each of their values by itself."""

    def __init__(self, path: Path, secrets: Secrets, environment: Mapping[str, str]) -> None:
        self._path = path
        self._secrets = secrets
        self._environment = environment

    def table(self, table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        return {name: self._value(value, f"{prefix}{name}") for name, value in table.items()}

    def _value(self, value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return self.table(value, f"{key}.")
        if isinstance(value, list):
            return [self._value(each, key) for each in value]
        filled = self._text(value, key) if isinstance(value, str) else value
        names = key.split(".")
        # What a stage is called says nothing of its options.
        self._secrets.notice(filled, *(names[2:] if names[0] == "stages" else names))
        return filled

    def _text(self, value: str, key: str) -> str:
        """A value that is one variable and nothing else stands for whatever its place needs."""
        filled = _VARIABLE.sub(lambda found: self._variable(found, key), value)
        whole = _VARIABLE.fullmatch(value)
        return Text(filled) if whole is not None and whole["name"] else filled

    def _variable(self, found: re.Match[str], key: str) -> str:
        if found[0] == "$$":
            return "$"
        name, default = found["name"], found["default"]
        if key in _LOADED and found[0].startswith("${"):
            # A variable could name any code, and add steps to a text.
            raise self._refusal(key, "what is loaded stands here as it is, and never in the environment")
        if found["other"] is not None:
            raise self._refusal(
                key, "${ begins no variable: write ${NAME} or ${NAME:default}, and $$ for a dollar sign"
            )
        if name is None:
            return found[0]
        if default is not None and default.startswith(_OF_SHELLS) and not found["blank"]:
            sign = default[0]
            raise self._refusal(
                key,
                f"${{{name}:{sign}…}} is a shell's: write ${{{name}:…}} for a default, and with a blank "
                f"${{{name}: {sign}…}} for one that begins with {sign}",
            )
        value = self._environment.get(name, default)
        if value is None:
            raise self._refusal(
                key, f"the environment variable {name} is not set; ${{{name}:…}} gives a default"
            )
        self._secrets.notice(value, name)
        return value

    def _refusal(self, key: str, why: str) -> Refused:
        """Never with the text itself: it may be secret."""
        return Refused(f"{key}: {why}", where=str(self._path))
