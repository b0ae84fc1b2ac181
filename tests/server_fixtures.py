"""Servers as fixtures: one of each for all tests, and one of its own for a test that kills it.

Tests share a server by giving tables and streams names of their own.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import Nats, Postgres, cluster, missing, running


def _client(name: str, extra: str) -> None:
    if importlib.util.find_spec(name) is None:
        missing(f"{name} is not installed: pip install 'asyncdataflow[{extra}]'")


@pytest.fixture(scope="session")
def postgres_data() -> Iterator[Path]:
    """A new database cluster to copy: making one takes longer than anything else here."""
    _client("psycopg", "postgres")
    with cluster() as data:
        yield data


@pytest.fixture(scope="session")
def postgres(postgres_data: Path) -> Iterator[Postgres]:
    """PostgreSQL, for tests that leave it running."""
    with running(lambda folder: Postgres(folder, postgres_data)) as server:
        yield server


@pytest.fixture
def own_postgres(postgres_data: Path) -> Iterator[Postgres]:
    """PostgreSQL, to be killed."""
    with running(lambda folder: Postgres(folder, postgres_data)) as server:
        yield server


@pytest.fixture(scope="session")
def nats() -> Iterator[Nats]:
    """NATS JetStream, for tests that leave it running."""
    _client("nats", "nats")
    with running(Nats) as server:
        yield server


@pytest.fixture
def own_nats() -> Iterator[Nats]:
    """NATS JetStream, to be killed."""
    _client("nats", "nats")
    with running(Nats) as server:
        yield server


_NUMBERS = itertools.count(1)


@pytest.fixture
def new_name() -> Callable[[str], str]:
    """Names that no other test has: ``jobs_7``."""
    return lambda word: f"{word}_{next(_NUMBERS)}"
