"""Any nesting at all is refused with its place, or compiles to a graph that hangs together.

And one graph is one graph, whichever notation it is written in.
"""

from __future__ import annotations

import functools
import operator
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asyncdataflow.bound import bound
from asyncdataflow.draw import dot, mermaid, text
from asyncdataflow.errors import DefinitionError
from asyncdataflow.graph import Graph, named
from asyncdataflow.notation import compile_definition
from asyncdataflow.operators import balance, batch, concat, filter_, flatten, merge, route, split, take, zip_
from asyncdataflow.stage import Embedded, Steps, stage
from tests.definitions import coroutine, plain

FUNCTIONS = {name: (plain if name in "acegi" else coroutine)(name, "item=None") for name in "abcdefgh"}
PAIR = plain("pair", "left, right")
OPERATORS = {each.__name__: each for each in (merge, zip_, concat, split, balance, flatten)}


class Flow(Embedded):
    """What a DataFlow is to the notation."""

    names, resources = None, {}

    def __init__(self, definition):
        self.definition = definition


rubbish = st.sampled_from([None, 0, "x", b"x", object, ...])
leaves = st.one_of(
    st.sampled_from([*FUNCTIONS.values(), PAIR, *OPERATORS.values(), int, print]),
    st.sampled_from([*FUNCTIONS.values()]).flatmap(
        lambda f: st.builds(
            functools.partial(stage, f),
            concurrency=st.integers(1, 3),
            ordered=st.booleans(),
            name=st.sampled_from([None, None, "x", "a"]),
            buffer=st.integers(1, 200),
        )
    ),
    st.sampled_from([batch(2), batch(900), take(3), filter_(bool), route(str), stage(PAIR)]),
    st.builds(range, st.integers(0, 3)),
)


def containers(members):
    """Everything that a definition may be nested in."""
    return st.one_of(
        st.lists(members, max_size=4).map(tuple),
        st.lists(members, max_size=4).map(tuple),
        st.lists(members, max_size=3),
        st.dictionaries(st.sampled_from(["left", "right", "x", "y"]), members, max_size=3),
        st.lists(leaves, max_size=3).map(frozenset),
        st.lists(members, min_size=2, max_size=3).map(lambda steps: Steps(tuple(steps))),
        members.map(Flow),
    )


definitions = st.recursive(leaves, containers, max_leaves=12)
anything = st.recursive(leaves | rubbish, containers, max_leaves=8)

PLACE = re.compile(r"definition(\[\d+\]|\['\w+'\]|\{\w+\}|\.definition|, character \d+)*( \([\w#]+\))?: \S")


def outcome(definition: Any, names: Any = None, feed: bool = False) -> Graph | DefinitionError:
    try:
        return compile_definition(definition, names, feed=feed).graph
    except DefinitionError as refused:
        return refused


def check_graph(graph: Graph) -> None:
    """What every reader of a graph relies on."""
    names = [named(each) for each in graph.stages]
    assert len(names) == len(set(names))
    order = {name: at for at, name in enumerate(names)}
    into, out_of = Counter(), Counter()
    for edge in graph.edges:
        assert order[edge.source] < order[edge.target]
        into[edge.target] += 1
        out_of[edge.source] += 1
        assert edge.port < len(graph.ports.get(edge.target, [None]))
        assert edge.branch < len(graph.branches.get(edge.source, [None]))
    for each in graph.stages:
        name = named(each)
        assert each.call is not None
        assert each.executor in ("loop", "inline", "thread", "process")
        assert (into[name] == 0) is (each.role == "source")
        assert (out_of[name] == 0) is (name in graph.outputs)
        for port in range(len(graph.ports.get(name, []))):
            assert any(edge.port == port for edge in graph.into(name))
        for branch in range(len(graph.branches.get(name, []))):
            assert any(edge.branch == branch for edge in graph.out_of(name))
    assert bound(graph) >= 1
    assert all(picture(graph) for picture in (text, mermaid, dot))


@given(anything, st.booleans())
def test_refused_with_a_place_or_compiled(definition, feed):
    made = outcome(definition, feed=feed)
    if isinstance(made, Graph):
        check_graph(made)
    else:
        assert all(PLACE.match(line) for line in str(made).splitlines()), str(made)


@given(definitions, st.booleans())
def test_the_same_each_time(definition, feed):
    one, other = outcome(definition, feed=feed), outcome(definition, feed=feed)
    if isinstance(one, Graph):
        assert one == other
        assert [each.path for each in one.stages] == [each.path for each in other.stages]
    else:
        assert str(one) == str(other)


@dataclass(frozen=True)
class Side:
    """Branches side by side, each a tuple of steps."""

    branches: tuple[tuple[Any, ...], ...]


steps = st.recursive(
    st.sampled_from([*FUNCTIONS, *OPERATORS]),
    lambda inner: st.lists(st.lists(inner, min_size=1, max_size=3).map(tuple), min_size=2, max_size=3).map(
        lambda branches: Side(tuple(branches))
    ),
    max_leaves=8,
)
flows = st.lists(steps, min_size=1, max_size=4).map(tuple)
NAMES = FUNCTIONS | OPERATORS


def as_tuples(flow, within=tuple):
    made = [
        NAMES[each] if isinstance(each, str) else tuple(as_branch(b, within) for b in each.branches)
        for each in flow
    ]
    return within(made)


def as_branch(flow, within):
    return NAMES[flow[0]] if len(flow) == 1 and isinstance(flow[0], str) else as_tuples(flow, within)


def as_lists(flow):
    return as_tuples(flow, list)


def as_pipes(flow):
    # An operator that is wrapped would be one that is not called; it stands bare, as users write it.
    made = [
        (NAMES[each] if each in OPERATORS else stage(NAMES[each]))
        if isinstance(each, str)
        else tuple(as_pipes(branch) for branch in each.branches)
        for each in flow
    ]
    try:
        joined = functools.reduce(operator.or_, made)
    except TypeError:  # neither of two neighbours knows `|`
        return Steps(tuple(made))
    return Steps((joined,)) if isinstance(joined, tuple) else joined


def as_text(flow):
    return " | ".join(
        each if isinstance(each, str) else ", ".join(f"({as_text(b)})" for b in each.branches)
        for each in flow
    )


def as_flow(flow):
    return Flow(as_tuples(flow))


@given(flows, st.booleans())
def test_all_notations_of_a_graph_are_that_graph(flow, feed):
    one = outcome(as_tuples(flow), feed=feed)
    for other in (
        outcome(as_lists(flow), feed=feed),
        outcome(as_pipes(flow), feed=feed),
        outcome(as_text(flow), NAMES, feed=feed),
        outcome(as_flow(flow), feed=feed),
    ):
        if isinstance(one, Graph):
            assert other == one
        else:
            assert type(other) is type(one)


@given(flows)
def test_most_flows_compile(flow):
    """So that the test above compares graphs, not only refusals."""
    functions_only = tuple(each for each in flow if each in FUNCTIONS) or ("a",)
    check_graph(compile_definition(as_tuples(functions_only)).graph)
