"""From what names a flow on the command line to the flow: ``module:flow``, ``path.py:flow``, or text.

Loading runs the user's code. So what is loaded comes from the command line and from the
configuration that is named there, and from nowhere else.
"""

from __future__ import annotations

import asyncio
import builtins
import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ..dataflow import DataFlow
from ..errors import DefinitionError, MissingExtraError
from ..naming import nearest
from ..operators import BARE
from ..stage import Composable
from .failure import Refused, line_of, trace_of

__all__ = ("is_text", "load", "load_module")

_TEXT: Final = re.compile(r"[\s|,()]")
_ATTRIBUTE: Final = "flow"


def is_text(target: str) -> bool:
    """Whether this is a definition in the text notation, and not the name of one."""
    return _TEXT.search(target) is not None


def load(
    target: str,
    modules: Sequence[str] = (),
    *,
    folder: Path | None = None,
    beside: Path | None = None,
    connectors: Mapping[str, Mapping[str, Any]] | None = None,
) -> DataFlow[Any, Any]:
    """The flow that a text names or is.

    Args:
        target: ``module:flow``, ``path.py:flow``, either without ``:flow``, or text, which it is where it has
            blanks, ``|``, ``,`` or parentheses, or where ``modules`` are given.
        modules: Modules, by name or path, in which the names of the text are looked up, the first first.
        folder: Where modules and their files are looked for; the current one by default.
        beside: Where relative paths of the text's connectors begin; the current folder by default.
        connectors: Options of the schemes in the text.

    Raises:
        Refused: It cannot be loaded, or is no flow.
    """
    folder = folder or Path.cwd()
    if modules or is_text(target):
        names: dict[str, Any] = {f"{scheme}:": options for scheme, options in (connectors or {}).items()}
        return _from_text(target, modules, folder, {**names, **({"./": beside} if beside else {})})
    name, _, attribute = target.rpartition(":") if ":" in target else (target, "", _ATTRIBUTE)
    module = load_module(name, folder)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [each for each in vars(module) if isinstance(getattr(module, each), DataFlow)]
            raise Refused(
                f"{name} has no {attribute!r}{nearest(attribute, known)}"
                + (f"; its flows are {', '.join(known)}" if known else "; no DataFlow is there at all")
            )
        found = getattr(found, part)
    return _as_flow(found, target, attribute)


def load_module(name: str, folder: Path) -> ModuleType:
    """A module by its dotted name, or by the path of its file.

    Raises:
        Refused: There is none, or its code raises.
    """
    if "\0" in name or not (name.endswith(".py") or all(name.split("."))):
        raise Refused(f"{name!r} is no name of a module; write module:flow, or path.py:flow")
    try:
        if name.endswith(".py"):
            return _from_file(folder / name)
        _look_in(folder)
        return importlib.import_module(name)
    except (Refused, KeyboardInterrupt):
        raise
    except SystemExit as error:
        raise Refused(
            f'{name} ends the program when it is loaded; put that under if __name__ == "__main__":',
            where=line_of(error),
        ) from None
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = f"; is {name}.py meant?" if _is_there(folder / f"{name}.py") else ""
            raise Refused(f"there is no module {name!r} in {folder} or where Python looks{hint}") from None
        raise _failed(name, error) from error
    except (Exception, asyncio.CancelledError) as error:
        raise _failed(name, error) from error


def _from_file(path: Path) -> ModuleType:
    """The module of a file, under the name by which worker processes find it again."""
    path = path.resolve()
    if not _is_there(path):
        raise Refused(f"there is no file {path}")
    top, name = path.parent, path.stem
    while (top / "__init__.py").exists():
        top, name = top.parent, f"{top.name}.{name}"
    _look_in(top)
    module = importlib.import_module(name)
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != path:
        raise Refused(
            f"{path}: Python has another module {name!r}"
            + (f", {found}" if found else "")
            + "; give the file another name"
        )
    return module


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # A name that is too long, for one.
        return False


def _look_in(folder: Path) -> None:
    """Python's own rule for a script's folder, and for ``-m``; ``python -P`` switches it off."""
    if not sys.flags.safe_path and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _from_text(
    text: str, modules: Sequence[str], folder: Path, connectors: Mapping[str, Any]
) -> DataFlow[Any, Any]:
    names: dict[str, Any] = {name: each for name, each in vars(builtins).items() if not name.startswith("_")}
    names.update({each.__name__: each for each in BARE})
    for module in reversed(modules):
        loaded = load_module(module, folder)
        names.update({name: each for name, each in vars(loaded).items() if not name.startswith("__")})
    try:
        return DataFlow(text, {**names, **connectors})
    except MissingExtraError as error:
        raise Refused(str(error)) from error
    except DefinitionError as error:
        hint = "" if modules else "; -m names the module in which names are looked up"
        raise Refused(f"{error}{hint if 'there is no name' in str(error) else ''}") from error


def _as_flow(found: Any, target: str, attribute: str) -> DataFlow[Any, Any]:
    if isinstance(found, DataFlow):
        return found
    if isinstance(found, tuple | list | set | dict | Composable):
        return DataFlow(found, name=attribute)
    raise Refused(
        f"{target} is a {type(found).__name__}, and a DataFlow or a definition is needed; "
        f"write {attribute} = DataFlow(…) in the module"
    )


def _failed(name: str, error: BaseException) -> Refused:
    """The user's module raised: what, and where in it."""
    if isinstance(error, DefinitionError | MissingExtraError):
        return Refused(str(error), where=line_of(error))
    where = error.filename if isinstance(error, SyntaxError) and error.filename else ""
    place = f"{where}:{error.lineno}" if isinstance(error, SyntaxError) and where else line_of(error)
    trace = trace_of(error, whole=False)
    return Refused(f"{name} cannot be loaded: {type(error).__name__}: {error}", where=place, trace=trace)
