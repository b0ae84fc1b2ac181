"""What tests with real servers have in common; see also ``tests/server_fixtures.py``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from tests.servers import Postgres


@pytest.fixture(autouse=True)
def _no_password_is_told(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every address in these tests has one."""
    caplog.set_level(logging.DEBUG)
    yield
    assert "hunter2" not in caplog.text


@pytest.fixture
def lost_commits() -> Callable[[Postgres, str], None]:
    """Has the first commit of a table's rows end its own session: nobody hears how it went."""

    def lose(server: Postgres, table: str) -> None:
        from tests.integration.database import tell

        tell(
            server,
            f"CREATE SEQUENCE {table}_commits",  # what it counts is kept when the rest is undone
            f"""CREATE FUNCTION {table}_lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('{table}_commits') = 1 THEN
                    PERFORM pg_terminate_backend(pg_backend_pid());
                END IF;
                RETURN NULL;
            END $$""",
            f"""CREATE CONSTRAINT TRIGGER {table}_lost AFTER INSERT ON {table}
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {table}_lose()""",
        )

    return lose
