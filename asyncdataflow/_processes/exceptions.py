"""Exceptions on their way out of a worker process: the same class, arguments and attributes on both sides.

Pickle makes an exception again by calling its class with its ``args``. That takes for granted that
``__init__`` hands on what it gets: one with another signature refuses, and one that makes a text of it makes
a text of that text. So an exception is carried as what it is, and ``__init__`` is not called again. A class
that says itself how it is pickled is taken at its word. Nothing is loaded that pickle would not load: a
class is found by its module and its name, or not at all.
"""

from __future__ import annotations

import builtins
import copyreg
import io
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from ..errors import RemoteError
from ..naming import annotate
from .messages import pickled, unpickled

__all__ = ("portable_error", "rebuilt")

_OWN_WAYS: Final = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
"""By any of these a class says itself how it is pickled."""


def portable_error(error: BaseException) -> bytes | None:
    """A pickle of an exception that makes it again, or ``None`` where there is no such pickle.

    All of it or nothing: without an attribute that cannot be pickled, whoever handles the exception would
    meet an ``AttributeError`` in its place. It is tried out, since what can be pickled may not be loaded.
    """
    # Pickle's own way comes second: it does without slots, which may hold what only `__init__` can make.
    ways: tuple[Callable[[BaseException], bytes], ...] = (_as_it_is, pickled)
    for way in ways:
        with suppress(Exception):
            made = way(error)
            if type(unpickled(made)) is type(error):
                return made
    return None


def rebuilt(whole: bytes | None, kind: str, text: str, trace: str) -> BaseException:
    """The child's exception with its traceback as a note, or a ``RemoteError`` that describes it."""
    if whole is not None:
        with suppress(Exception):
            error: BaseException = unpickled(whole)
            # The traceback ends with its notes, which it has brought along.
            notes = "\n".join(map(str, getattr(error, "__notes__", ()))).rstrip()
            _note(error, f"in the worker process:\n{trace.rstrip().removesuffix(notes).rstrip()}")
            return error
    return RemoteError(f"{kind}: {text}\nin the worker process:\n{trace.rstrip()}")


class _Pickler(pickle.Pickler):
    """Pickles exceptions as they are, also those that another one holds."""

    def reducer_override(self, obj: Any) -> Any:
        """How ``obj`` is pickled, where that is not pickle's to say."""
        kind = type(obj)
        # Not `isinstance`, which a proxy of an exception passes too.
        if not issubclass(kind, BaseException):
            return NotImplemented
        base = _built_in(kind)
        # A class of Python's own is made by its arguments.
        if kind is base or _has_own_way(kind, base):
            return NotImplemented
        args, state = _parts(obj, base)
        return _made, (kind, args), state, None, None, _set_state


def _as_it_is(error: BaseException) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(error)
    return buffer.getvalue()


def _built_in(kind: type[BaseException]) -> type[BaseException]:
    """The class of Python's own whose memory instances of ``kind`` have."""
    while not _is_built_in(kind):
        # Not the next in the order of methods: of several bases it is the one that can make an instance.
        kind = cast("type[BaseException]", kind.__base__)
    return kind


def _is_built_in(kind: type[BaseException]) -> bool:
    return vars(builtins).get(kind.__name__) is kind


def _has_own_way(kind: type[BaseException], base: type[BaseException]) -> bool:
    if kind in copyreg.dispatch_table:
        return True
    return any(getattr(kind, name, None) is not getattr(base, name, None) for name in _OWN_WAYS)


def _parts(error: BaseException, base: type[BaseException]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What ``base`` makes ``error`` of, and all that has been set on it, in slots too."""
    # Asked of the base, so that nothing of the user's is called.
    _, args, *rest = cast("tuple[Any, ...]", base.__reduce__(error))
    state: dict[str, Any] = dict(rest[0] or {}) if rest else {}
    held = object.__getstate__(error)
    if isinstance(held, tuple):
        state |= held[1]
    if isinstance(error, BaseExceptionGroup):
        # Its `args` are those of the subclass, whose `__new__` may take others.
        return (error.message, error.exceptions), {**state, "args": args}
    return args, state


def _made(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    base = _built_in(kind)
    error = base.__new__(kind, *args)
    base.__init__(error, *args)
    return error


def _set_state(error: BaseException, state: dict[str, Any]) -> None:
    for name, value in state.items():
        # Past the class's own `__setattr__`: that of a frozen dataclass refuses.
        object.__setattr__(error, name, value)


def _note(error: BaseException, note: str) -> None:
    """Add a note; a frozen dataclass gets it too, since nothing else tells where it was raised."""
    annotate(error, note)
    with suppress(Exception):
        if not hasattr(error, "__notes__"):
            object.__setattr__(error, "__notes__", [note])
