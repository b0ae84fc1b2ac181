"""Definitions that compile: what graph each notation comes to."""

from __future__ import annotations

import pytest

from asyncdataflow.graph import Edge, Places
from asyncdataflow.notation import compile_definition
from asyncdataflow.operators import (
    balance,
    batch,
    combine_latest,
    concat,
    filter_,
    flatten,
    merge,
    route,
    split,
    zip_,
)
from asyncdataflow.operators.combine import CombineLatest, Zip
from asyncdataflow.policy import dead_letter
from asyncdataflow.stage import Embedded, stage
from tests.definitions import coroutine, edges, graph_of, names, plain, stage_called

WORLDS = pytest.mark.parametrize("make", [plain, coroutine])
a, b, c, d = (plain(name) for name in "abcd")
source = plain("source", "")


class Flow(Embedded):
    """What a DataFlow is to the notation."""

    def __init__(self, definition, names=None, **resources):
        self.definition, self.names, self.resources = definition, names, resources


class TestSeeds:
    """The seven definitions that the design starts from."""

    @WORLDS
    def test_three_sources_a_transform_and_two_sinks(self, make):
        s1, s2, s3 = (make(name, "") for name in ("s1", "s2", "s3"))
        graph = graph_of(((s1, s2, s3), make("transform"), (make("d1"), make("d2"))))
        assert edges(graph) == {("s1", "transform"), ("s2", "transform"), ("s3", "transform")} | {
            ("transform", "d1"),
            ("transform", "d2"),
        }
        assert [each.role for each in graph.stages] == ["source"] * 3 + ["transform"] + ["sink"] * 2
        assert {each.port for each in graph.edges} == {0}
        assert graph.outputs == ("d1", "d2")
        assert graph.branches == {"transform": ("d1", "d2")}
        assert graph.one is None

    @WORLDS
    def test_get_transform_put(self, make):
        graph = graph_of((make("get", "url"), make("transform"), make("put")))
        assert edges(graph) == {("get", "transform"), ("transform", "put")}
        assert [each.call.arguments for each in graph.stages] == ["params", "item", "item"]
        assert graph.one == "put"

    @WORLDS
    def test_zip_by_signature_of_a_tuple(self, make):
        compare = make("compare", "source, target")
        graph = graph_of(
            ((make("source", ""), make("target", "")), compare, (make("s3_logger"), make("notify")))
        )
        assert edges(graph) == {("source", "zip_"), ("target", "zip_"), ("zip_", "compare")} | {
            ("compare", "s3_logger"),
            ("compare", "notify"),
        }
        assert graph.ports == {"zip_": ("source", "target")}
        assert stage_called(graph, "zip_").operator == Zip(names=("source", "target"))
        assert stage_called(graph, "compare").call.arguments == "spread"
        assert graph.one == Places("tuple", ("s3_logger", "notify"), ("s3_logger", "notify"))

    @WORLDS
    def test_zip_by_signature_of_a_set(self, make):
        compose = make("compose", "source, target")
        graph = graph_of(
            [{make("target", ""), make("source", "")}, compose, {make("s3_logger"), make("notify")}]
        )
        assert graph.ports == {"zip_": ("source", "target")}
        assert graph.outputs == ("notify", "s3_logger")
        assert graph.one == Places("dict", ("notify", "s3_logger"), ("notify", "s3_logger"))

    @WORLDS
    def test_discovery_with_two_destinations(self, make):
        graph = graph_of((make("discovery", ""), (make("save"), make("log"))))
        assert graph.edges == (Edge("discovery", "save", branch=0), Edge("discovery", "log", branch=1))

    @WORLDS
    def test_bare_split(self, make):
        graph = graph_of((make("source", ""), split, (make("out1"), make("out2"))))
        assert names(graph) == ["source", "split", "out1", "out2"]
        assert graph.branches == {"split": ("out1", "out2")}
        assert stage_called(graph, "split").executor == "loop"

    @WORLDS
    def test_bare_merge(self, make):
        graph = graph_of(((make("src1", ""), make("src2", "")), merge, make("out")))
        assert edges(graph) == {("src1", "merge"), ("src2", "merge"), ("merge", "out")}
        assert graph.ports == {}


class TestNesting:
    """Like in like is flattened, and tuples change their meaning from level to level."""

    @pytest.mark.parametrize(
        "definition",
        [
            (source, a, b),
            [source, a, b],
            (source, [a, b]),
            [source, [a], [[b]]],
            ((source,), ((a,),), b),
            (((source,),), a, b),
            ([source, a], b),
            (source, {"x": a}, {b}),
            (source, {frozenset({a})}, b),
            stage(source) | a | b,
            stage(source) | (stage(a) | b),
            ((source | stage(a)) | b,),
            Flow((source, a, b)),
            (source, Flow((a, b))),
            (source, Flow("one | two", {"one": a, "two": b})),
            Flow(Flow(stage(source) | a)) | stage(b),
        ],
    )
    def test_sequences(self, definition):
        assert graph_of(definition) == graph_of((source, a, b))

    @pytest.mark.parametrize(
        "definition",
        [
            (source, ((a, b), c)),
            (source, (stage(a) | b, c)),
            [source, ([a, b], c)],
            (source, ([a, [b]], (c,))),
            [source, ((a, (b,)), (((c,),),))],
            (source, (Flow((a, b)), c)),
            stage(source) | ((a, b), c),
        ],
    )
    def test_a_tuple_in_a_group_is_a_sequence(self, definition):
        assert graph_of(definition) == graph_of((source, ([a, b], c)))
        assert edges(graph_of(definition)) == {("source", "a"), ("a", "b"), ("source", "c")}

    def test_a_tuple_group_in_a_tuple_group_is_flattened(self):
        assert graph_of((source, (a, ((b, c),)), d)) == graph_of((source, (a, b, c), d))

    def test_a_dict_or_set_in_a_group_is_one_branch_of_its_own(self):
        for inner in ({"x": b, "y": c}, {b, c}):
            graph = graph_of((source, filter_(bool), (a, inner)))
            assert graph.branches["filter_"] == ("a", None)
            into = {(each.target, each.branch) for each in graph.out_of("filter_")}
            assert into == {("a", 0), ("b", 1), ("c", 1)}

    def test_an_embedded_group_is_one_branch_of_its_own(self):
        graph = graph_of((source, (a, Flow(((b, c),)))))
        assert graph.branches["source"] == ("a", None)

    def test_a_bare_callable_is_a_definition(self):
        graph = graph_of(source)
        assert (names(graph), graph.outputs, graph.one) == (["source"], ("source",), "source")
        assert graph.stages[0].role == "source"

    def test_group_to_group_is_merge_then_broadcast(self):
        explicit = graph_of(((source, a), merge, (b, c)))
        assert graph_of(((source, a), (b, c))) == explicit
        assert explicit.branches == {"merge": ("b", "c")}

    def test_a_branch_that_ends_in_a_group_comes_in_at_one_port(self):
        graph = graph_of((([source, (a, b)], range(3)), zip_))
        assert {(each.source, each.port) for each in graph.into("zip_")} == {("a", 0), ("b", 0), ("range", 1)}

    def test_stages_stand_behind_what_they_take_from(self):
        graph = graph_of((source, (a, [b, (c, d)]), merge, (a, b)))
        order = names(graph)
        assert all(order.index(each.source) < order.index(each.target) for each in graph.edges)


class TestNames:
    def test_numbers_where_a_callable_is_used_twice(self):
        graph = graph_of((source, a, (a, b), a))
        assert names(graph) == ["source", "a", "a#2", "b", "a#3"]

    def test_a_name_of_ones_own_goes_first(self):
        assert names(graph_of((source, a, stage(b, name="a")))) == ["source", "a#2", "a"]
        assert names(graph_of((source, a, a, stage(b, name="a#2")))) == ["source", "a", "a#3", "a#2"]

    def test_operators_are_numbered_too(self):
        assert names(graph_of((source, batch(2), batch(2)))) == ["source", "batch", "batch#2"]

    def test_lambdas_and_partials(self):
        assert names(graph_of((source, lambda x: x, flatten))) == ["source", "lambda", "flatten"]

    def test_branches_are_named_after_key_or_last_stage(self):
        assert graph_of((source, ([a, b], c))).branches == {"source": ("b", "c")}
        assert graph_of((source, {"x": (a, b), "y": c})).branches == {"source": ("x", "y")}
        assert graph_of((source, (a, a))).branches == {"source": ("a", "a#2")}

    def test_a_branch_has_the_plain_name_also_where_its_stage_is_numbered(self):
        graph = graph_of((source, a, route(bool), (a, b)))
        assert graph.branches["route"] == ("a", "b")
        assert graph.outputs == ("a#2", "b")

    def test_a_set_is_the_dict_of_its_names_in_order(self):
        for group in ({c, (b, a)}, {(b, a), c}, frozenset({c, (b, a)})):
            assert graph_of((source, group)) == graph_of((source, {"a": (b, a), "c": c}))

    def test_the_order_of_a_dict_is_kept(self):
        assert graph_of((source, {"z": a, "y": b})).outputs == ("a", "b")


class TestFanOut:
    @pytest.mark.parametrize("group", [{"only": a}, {stage(a, name="only")}])
    def test_a_dict_or_set_of_one_behind_a_choice_stays_a_group(self, group):
        graph = graph_of((source, route(bool), group, b))
        assert graph.branches == {"route": ("only",)}
        assert len(edges(graph)) == 3

    def test_a_dict_of_one_elsewhere_is_its_member(self):
        assert graph_of((source, {"only": a}, b)) == graph_of((source, a, b))

    def test_a_choice_behind_a_choice(self):
        graph = graph_of((source, route(bool), {"x": [split, (a, b)], "y": c}))
        assert graph.branches == {"route": ("x", "y"), "split": ("a", "b")}
        assert {(each.target, each.branch) for each in graph.out_of("route")} == {("split", 0), ("c", 1)}


class TestFanIn:
    """What parameters ask for, two or more branches lead in."""

    @WORLDS
    @pytest.mark.parametrize("parameters", ["item", "item, more=1", "item=None", "*items", "item, *, source"])
    def test_one_parameter_merges(self, make, parameters):
        graph = graph_of(((source, range(2)), make("take_it", parameters)))
        assert edges(graph) == {("source", "take_it"), ("range", "take_it")}
        assert stage_called(graph, "take_it").call.arguments == "item"

    def test_no_signature_merges(self):
        assert names(graph_of(((source, range(2)), int))) == ["source", "range", "int"]

    @pytest.mark.parametrize("parameters", ["a, b", "b, a", "b, a, more=1", "a, b, *, more=1"])
    def test_by_name(self, parameters):
        graph = graph_of(({"a": source, "b": range(2)}, plain("both", parameters)))
        assert stage_called(graph, "zip_").operator == Zip(names=("a", "b"))

    @pytest.mark.parametrize("group", [(source, range(2)), {"x": source, "y": range(2)}])
    @pytest.mark.parametrize("parameters", ["left, right", "left, right, /", "left, right, more=1"])
    def test_by_place(self, group, parameters):
        graph = graph_of((group, plain("both", parameters)))
        assert stage_called(graph, "zip_").operator == Zip(names=None)

    def test_positional_only_names_are_no_names(self):
        graph = graph_of(({"a": source, "b": range(2)}, plain("both", "b, a, /")))
        assert stage_called(graph, "zip_").operator == Zip(names=None)

    def test_the_buffer_of_the_stage_is_for_its_branches(self):
        graph = graph_of(((source, range(2)), stage(plain("both", "x, y"), buffer=7)))
        assert stage_called(graph, "zip_").buffer.items == 7

    def test_branches_of_one_step_may_be_zipped_where_they_stay_in_step(self):
        graph = graph_of((range(3), (a, [b, stage(c, concurrency=3)]), plain("both", "x, y")))
        assert "zip_" in names(graph)

    def test_split_branches_may_be_zipped(self):
        assert "zip_" in names(graph_of((range(3), split, (a, b), plain("both", "x, y"))))

    def test_branches_of_several_sources_may_be_zipped_in_any_case(self):
        assert "zip_" in names(graph_of((([source, filter_(a)], [range(2), flatten]), plain("both", "x, y"))))

    @pytest.mark.parametrize(
        ("group", "branches"),
        [((source, a), None), ({"x": source, "y": a}, ("x", "y")), ({source, a}, ("a", "source"))],
    )
    def test_explicit_operators_know_their_branches(self, group, branches):
        assert stage_called(graph_of((group, zip_)), "zip_").operator == Zip(names=branches)
        latest = stage_called(graph_of((group, combine_latest)), "combine_latest")
        assert latest.operator == CombineLatest(2, branches)
        graph = graph_of((group, concat))
        assert sorted(each.port for each in graph.into("concat")) == [0, 1]
        assert graph.ports["concat"] == (branches or ("source", "a"))

    def test_the_same_operator_serves_two_definitions(self):
        latest = combine_latest()
        graph_of(((source, a, b), latest))
        assert stage_called(graph_of(((source, a), latest)), "combine_latest").operator.ports == 2


class TestDeadLetters:
    def test_a_sink_is_a_stage_of_its_own_and_shared(self):
        rejects: list[object] = []
        graph = graph_of(
            (
                range(3),
                stage(a, on_error=dead_letter(rejects.append)),
                stage(b, on_error=dead_letter(rejects.append)),
            )
        )
        assert names(graph) == ["range", "a", "b", "append"]
        dead = [each for each in graph.edges if each.dead_letters]
        assert [(each.source, each.target) for each in dead] == [("a", "append"), ("b", "append")]
        assert graph.outputs == ("b",)
        assert stage_called(graph, "append").role == "sink"
        assert graph.one is None

    def test_different_sinks_are_different_stages(self):
        one, other = stage(a, on_error=dead_letter([].append)), stage(b, on_error=dead_letter([].append))
        assert names(graph_of((range(3), one, other))) == ["range", "a", "b", "append", "append#2"]

    def test_a_stage_as_sink_keeps_its_options(self):
        sink = stage(c, name="rejects", retry=2)
        graph = graph_of((range(3), stage(a, on_error=dead_letter(sink))))
        assert stage_called(graph, "rejects").retry.attempts == 2


class TestFeed:
    """A run given ``items=``."""

    def test_the_items_are_a_source(self):
        graph = graph_of((a, b), feed=True)
        assert [(each.name, each.role) for each in graph.stages] == [
            ("items", "source"),
            ("a", "transform"),
            ("b", "sink"),
        ]
        feed = graph.stages[0]
        assert (feed.fn, feed.call.kind, feed.call.many, feed.executor) == (None, "feed", True, "loop")
        assert graph.one is None

    def test_a_group_gets_all_of_them(self):
        graph = graph_of(((a, b), merge), feed=True)
        assert graph.branches == {"items": ("a", "b")}

    def test_options_that_make_no_sense_on_a_source_do_here(self):
        assert stage_called(graph_of((stage(a, concurrency=4), b), feed=True), "a").concurrency == 4

    def test_operators_may_stand_first(self):
        assert names(graph_of((filter_(a), balance, (b, c)), feed=True))[:3] == [
            "items",
            "filter_",
            "balance",
        ]

    def test_a_stage_called_items_keeps_its_name(self):
        assert names(graph_of((stage(a, name="items"),), feed=True)) == ["items#2", "items"]


class TestOne:
    """Whether a call returns a bare value, and of what shape."""

    get = staticmethod(plain("get", ""))

    @pytest.mark.parametrize(
        ("definition", "shape"),
        [
            ((get, a), "a"),
            ((coroutine("get", ""), a), "a"),
            ((get, (a, b)), Places("tuple", ("a", "b"), ("a", "b"))),
            ((get, {"x": a, "y": b}), Places("dict", ("x", "y"), ("a", "b"))),
            ((get, (a, {b, c})), Places("tuple", ("a", None), ("a", Places("dict", ("b", "c"), ("b", "c"))))),
            (
                (get, (a, [b, (c, d)])),
                Places("tuple", ("a", None), ("a", Places("tuple", ("c", "d"), ("c", "d")))),
            ),
            (((get, source),), Places("tuple", ("get", "source"), ("get", "source"))),
            (((get, source), zip_, a), "a"),
            ((get, split, (a, b)), Places("tuple", ("a", "b"), ("a", "b"))),
            ((get, (a, b), plain("both", "x, y")), "both"),
            ((get, stage(a, retry=3, timeout=1, concurrency=4)), "a"),
            ((range(1), a), None),
            (((get, source), a), None),
            ((get, (a, b), (c, d)), None),
            ((get, flatten), None),
            ((get, filter_(a)), None),
            ((get, batch(1)), None),
            ((get, route(a), (b, c)), None),
            ((get, balance, (b, c)), None),
            ((stage(get, many=True), a), None),
            ((get, stage(a, on_error="skip")), None),
            ((get, stage(a, on_error=dead_letter(b))), None),
            ((get, stage(a, overflow="drop_oldest")), None),
        ],
    )
    def test_shape(self, definition, shape):
        assert graph_of(definition).one == shape


class TestEmbedded:
    def test_resources_come_along(self):
        db, other = object(), object()
        inner = Flow((a, Flow(b, other=other)), db=db)
        compiled = compile_definition((source, inner, Flow(c, db=db)))
        assert compiled.resources == {"db": db, "other": other}
