"""Where sources stand: positions as text, and a small file that keeps them between runs."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

from ..errors import CorruptStorageError
from .storage import named_errors, remove_stale_drafts, replace_file

__all__ = ("PositionsFile", "read_position", "write_position")


def write_position(position: object) -> str:
    """A position or a partition as JSON text, the same text for the same one."""
    return json.dumps(position, separators=(",", ":"), sort_keys=True)


def read_position(text: str) -> Any:
    """What :func:`write_position` wrote; an array becomes a tuple, so that it can be a key."""
    return _hashable(json.loads(text))


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


class PositionsFile:
    """A file with a row of JSON for each partition: ``{"partition": "jobs.jsonl", "position": 8192}``.

    It is replaced whole, and is on the disk when that returns.

    Args:
        path: Where it is, or is to be.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self) -> dict[Hashable, Any]:
        """The positions of all partitions; none where there is no file.

        What a process left beside it that was killed while it saved is removed.

        Raises:
            CorruptStorageError: It is not such a file. Nobody then knows where to go on.
            StorageError: It cannot be read.
        """
        remove_stale_drafts(self._path)
        try:
            with named_errors(f"{self._path}: reading the positions"):
                try:
                    with open(self._path, "rb") as file:
                        data = file.read()
                except FileNotFoundError:
                    return {}
            return self._rows(data)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CorruptStorageError(
                f"{self._path}: this is no file of positions that is whole; "
                "put back a copy, or delete it to begin from the start"
            ) from error

    def save(self, positions: Mapping[Hashable, Any]) -> None:
        """Keep these positions, all or none of them.

        Raises:
            StorageError: It failed; those that were kept before still are.
        """
        rows = (
            f'{{"partition":{write_position(partition)},"position":{write_position(position)}}}\n'
            for partition, position in positions.items()
        )
        with named_errors(f"{self._path}: keeping the positions"):
            replace_file(self._path, "".join(rows).encode("ascii"))

    @staticmethod
    def _rows(data: bytes) -> dict[Hashable, Any]:
        if not data.endswith(b"\n"):
            raise ValueError("it does not end with a line's end")
        rows = [json.loads(line) for line in data.decode("ascii").splitlines()]
        return {_hashable(row["partition"]): _hashable(row["position"]) for row in rows}
