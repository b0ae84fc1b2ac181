"""Configurations: what is read, what is put in for variables, and what is refused."""

from __future__ import annotations

import pytest

from asyncdataflow.cli.configuration import read_configuration
from asyncdataflow.cli.failure import Refused
from asyncdataflow.cli.redaction import Secrets
from asyncdataflow.from_text import Text
from tests.cli.command import invoke


@pytest.fixture
def read(write):
    def read(text, **environment):
        return read_configuration(write("flow.toml", text), Secrets(), environment)

    return read


def test_everything_that_a_configuration_has(read):
    made = read("""
        flow = "flow.py:flow"
        modules = ["a", "b"]
        [params]
        limit = 4
        [stages.parse]
        retry = { attempts = 2 }
        [connectors.pg]
        dsn = "dbname=x"
        [service]
        drain_timeout = 3
    """)
    assert (made.flow, made.modules, made.params) == ("flow.py:flow", ["a", "b"], {"limit": 4})
    assert made.stages == {"parse": {"retry": {"attempts": 2}}}
    assert made.connectors == {"pg": {"dsn": "dbname=x"}}
    assert made.service == {"drain_timeout": 3.0}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${A}", "one"),
        ("${A:x}", "one"),
        ("${B:x}", "x"),
        ("${B:}", ""),
        ("${B:http://h:1/}", "http://h:1/"),
        ("${B: -5}", "-5"),
        ("${B: x y }", "x y "),
        ("a ${A}, ${A}", "a one, one"),
        ("$$ $${A} $A $", "$ ${A} $A $"),
    ],
)
def test_variables(read, written, value):
    assert read(f"[params]\nx = {written!r}", A="one").params == {"x": value}


def test_variables_in_lists_and_tables_of_tables(read):
    made = read("[params]\nx = ['${A}', { y = '${A}' }]", A="one")
    assert made.params == {"x": ["one", {"y": "one"}]}


def test_a_variable_can_only_ever_be_a_value(read):
    """Put in after the file was read: no value can add a key, a table or another variable."""
    hostile = '"\n[service]\ndrain_timeout = 1\nx = "${A}'
    made = read("[params]\nx = '${A}'", A=hostile)
    assert made.params == {"x": hostile}
    assert made.service == {}


def test_a_value_that_is_one_variable_stands_for_any_kind(read):
    made = read("[params]\nx = '${A}'\ny = 'a ${A}'\n[service]\nstop_timeout = '${T:2.5}'", A="1")
    assert [type(each) for each in made.params.values()] == [Text, str]
    assert made.service == {"stop_timeout": 2.5}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[parms]", "parms: no such key; did you mean 'params'?"),
        ("[service]\ndrain_timout = 1", "service.drain_timout: no such key; did you mean 'drain_timeout'?"),
        ("[service]\ndrain_timeout = 0", "service.drain_timeout: more than 0 seconds"),
        ("[service]\ndrain_timeout = '${A}'", "service.drain_timeout: a number is needed"),
        ("params = 3", "params: a table is needed"),
        ("[stages]\nparse = 3", "stages.parse: a table of options is needed"),
        ("[params]\nx = '${LOST}'", "params.x: the environment variable LOST is not set"),
        (
            "[params]\nx = '${B:-100}'",
            "params.x: ${B:-…} is a shell's: write ${B:…} for a default, and with a blank ${B: -…} for one "
            "that begins with -",
        ),
        ("[params]\nx = '${B:=1}'", "${B:=…} is a shell's"),
        ("[params]\nx = ['${B-100}']", "params.x: ${ begins no variable: write ${NAME} or ${NAME:default}"),
        ("[params]\nx = '${A:${B:1}}'", "params.x: ${ begins no variable"),
        ("[params]\nx = '${A'", "params.x: ${ begins no variable"),
        ("[params]\nx = '${1}'", "$$ for a dollar sign"),
        ("flow = '${A}'", "flow: what is loaded stands here as it is, and never in the environment"),
        ("flow = 'jsonl:${A} | str'", "flow: what is loaded"),
        ("modules = ['a', '${A:b}']", "modules: what is loaded"),
        ("modules = [3]", "modules: each is text"),
        ("x = " + 100_000 * "[", "it nests too deep"),
        ("x = = 1", "line 1"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(read, text, says):
    with pytest.raises(Refused) as caught:
        read(text, A="soon")
    assert says in str(caught.value)
    assert caught.value.where.endswith("flow.toml")


def test_a_configuration_that_is_not_there(folder):
    done = invoke("check", "-c", "lost.toml")
    assert done.exit_code == 2
    assert "lost.toml: No such file" in done.output


def test_the_flow_of_a_configuration_lies_beside_it(write):
    write("deep/beside.py", "flow = (range(2),)\n")
    write("deep/beside.toml", 'flow = "beside.py:flow"\n')
    assert invoke("check", "-c", "deep/beside.toml").exit_code == 0


def test_an_option_of_a_stage_that_is_text_is_read_or_refused_with_its_place(squares, write):
    write("tuned.toml", 'flow = "squares.py"\n[stages.square]\nconcurrency = "2"\n')
    assert "square: loop ×2" in invoke("check", "-c", "tuned.toml").output
    write("tuned.toml", 'flow = "squares.py"\n[stages.square]\nconcurrency = "two"\n')
    done = invoke("check", "-c", "tuned.toml")
    assert done.exit_code == 2
    assert "tuned.toml: stages.square.concurrency: a whole number is needed" in done.output


PATHS = """
    flow = "jsonl:in.jsonl | inverse | jsonl:out.jsonl"
    modules = ["inverses"]
    [connectors.jsonl]
    positions = "marks"
    [stages.inverse]
    on_error = { dead_letter = "jsonl:rejects.jsonl" }
"""


@pytest.fixture
def inverses(write):
    write("deep/inverses.py", "def inverse(n):\n    return 1 / n\n")
    write("deep/in.jsonl", "1\n0\n")
    return write("deep/inverses.toml", PATHS)


def test_paths_of_a_configuration_lie_beside_it(inverses, folder):
    done = invoke("run", "-c", "deep/inverses.toml")
    assert (done.exit_code, done.output) == (0, "")
    made = {each.name for each in (folder / "deep").iterdir() if each.is_file()}
    assert made == {"in.jsonl", "out.jsonl", "rejects.jsonl", "marks", "inverses.py", "inverses.toml"}
    assert [each.name for each in folder.iterdir()] == ["deep"]


def test_paths_of_the_command_line_begin_where_they_are_typed(inverses, write, folder):
    write("in.jsonl", "4\n0\n")
    text = "jsonl:in.jsonl | inverse | jsonl:out.jsonl"
    done = invoke("run", text, "-m", "deep/inverses.py", "-c", "deep/inverses.toml")
    assert (done.exit_code, done.output) == (0, "")
    assert (folder / "out.jsonl").read_text() == "0.25\n"
    assert "ZeroDivisionError" in (folder / "deep/rejects.jsonl").read_text()


def test_what_is_no_relative_path_is_left_as_it_is(write, folder):
    write("deep/flat.toml", f'flow = "jsonl:{folder}/in.jsonl | str"\n')
    write("in.jsonl", "1\n")
    assert invoke("run", "-c", "deep/flat.toml").output == "1\n"
    write("deep/flat.toml", 'flow = "sqlite:\\":memory:\\"?table=t | str"\n')
    done = invoke("check", "-c", "deep/flat.toml")
    assert done.exit_code == 2
    assert "flat.toml" not in done.output, "refused by the connector, which wants a file"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (
            "[connectors.jsnl]\nfsync = true",
            "connectors.jsnl: there is no connector of this name; there are jsonl,",
        ),
        ("[connectors.jsnl]", "did you mean 'jsonl'?"),
        ("[connectors.jsonl]\nfsnc = true", "connectors.jsonl.fsnc: no such option; did you mean 'fsync'?"),
        ("[connectors.jsonl]\npath = 'x'", "connectors.jsonl.path: no such option"),
        ("[connectors.jsonl]\nmax_line = 'x'", "connectors.jsonl.max_line: a whole number is needed"),
        ("[connectors.jsonl]\nfollow = 3", "connectors.jsonl.follow: true or false is needed"),
        ("[connectors.jsonl]\nmax_line = 0", "not 0 (options of flow.toml: connectors.jsonl: max_line)"),
        ("[connectors.pg]\ntabel = 'x'", "connectors.pg.tabel: no such option"),
    ],
)
def test_options_of_connectors_are_refused_with_their_place(write, written, says):
    """Also where no connector of the flow has them."""
    write("in.jsonl", "")
    write("flow.toml", f'flow = "jsonl:in.jsonl | str"\n{written}\n')
    done = invoke("check", "-c", "flow.toml")
    assert done.exit_code == 2
    assert says in done.output
    assert "flow.toml: connectors." in done.output


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (
            "[stages.sqare]\ntimeout = 1",
            "flow.toml: stages.sqare: stage 'sqare': the flow has no stage of this name",
        ),
        (
            "[stages.square]\nconcurrency = -2",
            "flow.toml: stages.square: stage(concurrency=): a whole number",
        ),
        ("[stages.square]\ntimeout = nan", "flow.toml: stages.square: stage(timeout=): more than 0"),
    ],
)
def test_an_option_that_a_stage_refuses_is_told_with_its_place(squares, write, written, says):
    write("flow.toml", f"flow = 'squares.py'\n{written}\n")
    done = invoke("check", "-c", "flow.toml")
    assert done.exit_code == 2
    assert says in done.output
    assert "--workers: stage 'lost'" in invoke("check", "squares.py", "--workers", "lost=2").output
