"""What of the user's can be handed to another process: by reference, or not at all."""

from __future__ import annotations

import functools
import operator
import pickle
import sys
from typing import Any

from .naming import callable_name
from .stage import Stage

__all__ = ("explain_unportable", "portable")


class _FunctionOf:
    """Pickles a decorated function by way of its stage; unpickled, it is the function itself."""

    def __init__(self, stage: Stage[Any, Any]) -> None:
        self._stage = stage

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's own call, so that a partial takes it."""
        return self._stage.fn(*args, **kwargs)

    def __reduce__(self) -> Any:
        return (operator.attrgetter("fn"), (self._stage,))


def portable(fn: Any) -> Any:
    """What to pickle so that ``fn`` is had on the other side.

    ``@stage`` puts a stage under its function's name, so that pickle does not find the
    function there; the stage it does find.
    """
    if type(fn) is functools.partial:
        return functools.partial(portable(fn.func), *fn.args, **fn.keywords)
    found = _found_by_name(fn)
    return _FunctionOf(found) if isinstance(found, Stage) and found.fn is fn else fn


def explain_unportable(fn: Any) -> str:
    """Why another process cannot have ``fn``; empty where it can."""
    name = callable_name(fn)
    inner = fn
    while isinstance(inner, functools.partial):
        inner = inner.func
    module = getattr(inner, "__module__", None)
    if module == "__main__" and not _main_can_be_imported():
        return f"{name} lives in an interactive session"
    if getattr(inner, "__name__", "") == "<lambda>":
        return "this is a lambda"
    if "<locals>" in getattr(inner, "__qualname__", ""):
        return f"{name} is defined inside another function"
    try:
        pickle.dumps(portable(fn))
    except Exception as error:  # noqa: BLE001 - whatever an object's own pickling raises
        return f"{name} cannot be pickled ({type(error).__name__}: {error})"
    return ""


def _found_by_name(fn: Any) -> Any:
    found: Any = sys.modules.get(getattr(fn, "__module__", None) or "")
    for part in getattr(fn, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found


def _main_can_be_imported() -> bool:
    main = sys.modules.get("__main__")
    return getattr(main, "__spec__", None) is not None or getattr(main, "__file__", None) is not None
