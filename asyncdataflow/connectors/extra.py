"""Client libraries are extras: imported when a connector is made, and asked for by name."""

from __future__ import annotations

import importlib.util

from ..errors import MissingExtraError

__all__ = ("need",)


def need(module: str, extra: str, what: str) -> None:
    """Refuse to make a connector whose client library is not installed.

    Args:
        module: The library's top-level module.
        extra: The extra of this package that installs it.
        what: The connector, as its user calls it.

    Raises:
        MissingExtraError: It is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(
            f"{what} needs {module}, which is not installed: pip install 'asyncdataflow[{extra}]'"
        )
