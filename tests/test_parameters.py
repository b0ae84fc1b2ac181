"""Run parameters: checked before a run, and bound to calls."""

from __future__ import annotations

import functools

import pytest

from asyncdataflow.errors import ParameterError
from asyncdataflow.operators import scan
from asyncdataflow.parameters import check, for_call, wanted
from asyncdataflow.signature import read
from asyncdataflow.stage import stage
from tests.definitions import graph_of, plain

fetch = plain("fetch", "url, page=1, *, db")
save = plain("save", "row, *, db, table='events', **options")


def needs_more(url, *, dsn):
    """A resource that takes run parameters by name."""


@pytest.mark.parametrize(
    ("definition", "params", "resources"),
    [
        ((fetch, save), {"url": 1, "db": 2}, {}),
        ((fetch, save), {"url": 1}, {"db": object()}),
        ((fetch, save), {"url": 1, "page": 2, "table": 3}, {"db": object(), "unused": 1}),
        ((fetch, save), {"url": 1, "db": 2}, {"db": object()}),
        ((fetch, save), {"url": 1, "dsn": 2}, {"db": needs_more}),
        ((fetch, save), {"url": 1}, {"db": functools.partial(needs_more, 1, dsn=2)}),
        ((fetch, save), {"url": 1}, {"db": dict}),
        ((plain("get", ""), save), {"db": 1}, {}),
        ((range(3), scan(plain("fold", "state, item, *, weight"))), {"weight": 1}, {}),
        ((range(3), stage(plain("f", "item, *, model, db"), per_worker={"model": dict})), {"db": 1}, {}),
        ((print, save), {"db": 1}, {}),
    ],
)
def test_fine(definition, params, resources):
    check(graph_of(definition), params, resources)


@pytest.mark.parametrize(
    ("definition", "params", "resources", "says"),
    [
        ((fetch, save), {"url": 1}, {}, "definition[0] (fetch): it needs the parameter 'db'"),
        ((fetch, save), {"url": 1}, {}, "definition[1] (save): it needs the parameter 'db'"),
        (
            (fetch, save),
            {"urls": 1, "db": 1},
            {},
            "it needs the parameter 'url', which is neither among the run's "
            "parameters nor among the resources; did you mean 'urls'?",
        ),
        (
            (fetch, save),
            {"urls": 1, "db": 1},
            {},
            "the run parameter 'urls' is used by nobody; did you mean 'url'?",
        ),
        ((fetch, save), {"url": 1, "dbs": 1}, {"db": 1}, "'dbs' is used by nobody; did you mean 'db'?"),
        (
            (fetch, save),
            {"url": 1, "zzz": 1},
            {"db": 1},
            "'zzz' is used by nobody; the flow takes only db, page, table, url",
        ),
        ((range(3), print), {"zzz": 1}, {}, "'zzz' is used by nobody; the flow takes no parameters"),
        (
            (fetch, save),
            {"url": 1, "row": 1, "db": 1},
            {},
            "'row' is used by nobody: definition[1] (save) has a "
            "parameter 'row', but takes it from its items; make it keyword-only",
        ),
        ((fetch, save), {"url": 1, "options": 1, "db": 1}, {}, "'options' is used by nobody"),
        (
            (fetch, save),
            {"url": 1},
            {"db": needs_more},
            "resources['db'] (needs_more): it needs the parameter 'dsn'",
        ),
        ((fetch, save), {"url": 1, "dns": 1}, {"db": needs_more}, "did you mean 'dns'?"),
        (
            (range(3), stage(plain("f", "item, *, model"), per_worker={"model": dict})),
            {"model": 1},
            {},
            "definition[1] (f) is made by its per_worker=",
        ),
        ((range(3), functools.partial(save, db=1)), {"db": 1}, {}, "'db' is used by nobody"),
        ((print, save), {"sep": 1, "db": 1}, {}, "'sep' is used by nobody"),
    ],
)
def test_refused(definition, params, resources, says):
    with pytest.raises(ParameterError) as caught:
        check(graph_of(definition), params, resources)
    assert says in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ParameterError) as caught:
        check(graph_of((fetch, save)), {"zzz": 1}, {})
    assert len(str(caught.value).splitlines()) == 4


def test_values_never_show():
    with pytest.raises(ParameterError) as caught:
        check(graph_of((fetch, save)), {"token": "s3cret"}, {"db": "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_wanted():
    graph = graph_of((fetch, stage(save, per_worker={"table": dict})))
    assert [[each.name for each in wanted(each)] for each in graph.stages] == [["url", "page", "db"], ["db"]]


class TestForCall:
    def test_a_source_gets_all_by_name_from_params_first(self):
        call = graph_of((fetch, save)).stages[0].call
        assert for_call(call, {"url": 1, "db": 2}, {"db": 3, "page": 4, "more": 5}, ()) == (
            (),
            {"url": 1, "page": 4, "db": 2},
        )

    def test_what_is_optional_and_missing_is_left_out(self):
        assert for_call(graph_of(fetch).stages[0].call, {"url": 1}, {"db": 3}, ()) == (
            (),
            {"url": 1, "db": 3},
        )

    def test_a_step_gets_its_keyword_only_ones(self):
        call = graph_of((fetch, save)).stages[1].call
        assert for_call(call, {"row": 1, "db": 2}, {}, ()) == ((), {"db": 2})

    def test_none_is_a_value(self):
        call = graph_of((fetch, save)).stages[1].call
        assert for_call(call, {"db": None}, {"db": 1}, ()) == ((), {"db": None})

    def test_what_per_worker_fills_is_left_out(self):
        call = graph_of((fetch, stage(save, per_worker={"table": dict}))).stages[1].call
        assert for_call(call, {"db": 1, "table": 2}, {}, ("table",)) == ((), {"db": 1})

    def test_by_place_what_goes_by_place_only(self):
        call = graph_of(plain("get", "a, b=1, /, c=2, *, d")).stages[0].call
        assert for_call(call, {"a": 1, "d": 4}, {}, ()) == ((1,), {"d": 4})
        assert for_call(call, {"a": 1, "b": 2, "c": 3, "d": 4}, {}, ()) == ((1, 2), {"c": 3, "d": 4})

    def test_a_gap_in_what_goes_by_place_is_refused(self):
        call = graph_of(plain("get", "a=1, b=2, /")).stages[0].call
        with pytest.raises(ParameterError, match="together with 'a'"):
            for_call(call, {"b": 1}, {}, ())

    def test_a_resource_is_called_like_a_source(self):
        call = read(needs_more, "resources (db)")
        assert for_call(call, {"url": 1, "dsn": 2, "db": 3}, {}, ()) == ((), {"url": 1, "dsn": 2})
