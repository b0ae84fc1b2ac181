"""Functions whose module is imported when they are first called, for what a plain run never needs.

Importing the package may cost little (``tests/test_import_cost.py``), also in each worker process. The
standard library's ``LazyLoader`` is not safe where two threads come first, before CPython 3.13; an
import is. From 3.15 on the language has this itself (PEP 810), and this module can go.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ("when_called",)


def when_called(module: str, name: str) -> Callable[..., Any]:
    """The function or class ``name`` of ``module``, as something that can only be called.

    Beside it stands an import for type checkers, by which the contracts of the floors see it too.

    Args:
        module: Its full name.
        name: What is to be called there.

    Example:
        >>> dumps = when_called("json", "dumps")
        >>> dumps([1])
        '[1]'
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(module), name)(*args, **kwargs)

    return call
