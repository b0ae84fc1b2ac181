"""A secret that the command is given is in nothing that it writes."""

from __future__ import annotations

import json
import logging

import pytest

from asyncdataflow.cli.redaction import Secrets, WithoutSecrets
from tests.cli.command import invoke

CANARY = "c4n/ry+x%1"


def test_what_is_secret_is_known_by_its_name_or_its_place():
    secrets = Secrets()
    secrets.notice("first-secret", "api_key")
    secrets.notice({"token": ["second-secret"], "host": "shown"}, "options")
    secrets.notice("postgresql://me:third-secret@h/db", "dsn")
    secrets.notice("host=h password='fourth-secret' dbname=x", "dsn")
    text = "first-secret second-secret third-secret fourth-secret shown me h"
    assert secrets.redact(text) == "*** *** *** *** shown me h"
    assert "secret" not in repr(secrets)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("https://h/x?a=1&token=hunter2&b=2", "url"),
        ("https://h/x?api_key=hunter2", "url"),
        ('{"password": "hunter2"}', "db"),
        ('[{"key": "hunter2"}]', "credentials"),
    ],
)
def test_what_is_secret_within_a_value(value, name):
    secrets = Secrets()
    secrets.notice(value, name)
    assert secrets.redact("with hunter2") == "with ***"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", "8192"),
        ("num_tokens", "8192"),
        ("author", "within"),
        ("compass", "north"),
        ("token", "in"),
        ("auth", True),
    ],
)
def test_what_only_looks_secret_is_shown(name, value):
    secrets = Secrets()
    secrets.notice(value, name)
    assert secrets.redact(f"is {value}") == f"is {value}"


def test_names_of_tables_around_a_value_count(write):
    write("rows.py", 'def rows(credentials):\n    yield int(credentials["key"])\nflow = (rows,)\n')
    write("rows.toml", '[params.credentials]\nkey = "hunter2"\n')
    done = invoke("run", "rows.py", "-c", "rows.toml")
    assert "invalid literal for int() with base 10: '***'" in done.output
    assert "hunter2" not in done.output


def test_json_is_redacted_and_stays_json(write):
    write("shows.py", SHOWS)
    done = invoke("run", "shows.py", "--json", 'password=a"b\\c-é', "dsn=x")
    assert "no such user: *** at x" in json.loads(done.stderr.splitlines()[-1])["error"]["text"]
    counted = json.loads(invoke("check", "shows.py", "--json", "--workers", "rows=1", "password=1024").stdout)
    assert counted["stages"][0]["concurrency"] == 1


@pytest.mark.parametrize("form", [CANARY, "c4n%2Fry%2Bx%251", "c4n/ry%2Bx%251"])
def test_a_secret_is_known_in_the_forms_of_addresses(form):
    secrets = Secrets()
    secrets.notice(CANARY, "password")
    assert secrets.redact(f"at {form}!") == "at ***!"


def test_in_the_log_and_its_tracebacks():
    secrets = Secrets()
    secrets.notice(CANARY, "password")
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        record = logging.LogRecord(
            "a", logging.INFO, "f.py", 1, "said %s", (CANARY,), (type(error), error, error.__traceback__)
        )
    assert CANARY not in WithoutSecrets(secrets).format(record)


SHOWS = """
import logging
from asyncdataflow import DataFlow

def rows(password, dsn):
    logging.getLogger("rows").warning("connecting with %s", password)
    raise ConnectionError(f"no such user: {password} at {dsn}")

flow = DataFlow((rows,))
"""


@pytest.mark.parametrize("way", ["argument", "variable", "json"])
def test_it_is_in_nothing_that_is_written(write, monkeypatch, way):
    write("shows.py", SHOWS)
    monkeypatch.setenv("DB_PASSWORD", CANARY)
    write("shows.toml", f'[params]\npassword = "${{DB_PASSWORD}}"\ndsn = "pg://u:{CANARY}@h/x"\n')
    given = ["-c", "shows.toml"] if way != "argument" else [f"password={CANARY}", f"dsn=pg://u:{CANARY}@h/x"]
    done = invoke("run", "shows.py", *given, *(["--json"] if way == "json" else []))
    assert done.exit_code == 1
    assert "no such user: *** at pg://u:***@h/x" in done.output
    assert CANARY not in done.output


@pytest.mark.parametrize("command", ["check", "graph"])
def test_options_of_connectors_are_in_no_picture_and_no_error(folder, write, monkeypatch, command):
    monkeypatch.setenv("DSN", f"postgresql://u:{CANARY}@h/x")
    write("pg.toml", '[connectors.pg]\ndsn = "${DSN}"\nfetch = "${DSN}"\n')
    for arguments in (["-c", "pg.toml"], []):
        done = invoke(
            command, f"pg:events?dsn=postgresql://u:{CANARY}@h/x&fetch={CANARY} | str", "--json", *arguments
        )
        assert done.exit_code == 2
        assert CANARY not in done.output
        assert "option fetch: a whole number is needed" in done.output
