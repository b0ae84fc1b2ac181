"""A definition is refused with its place, or runs to the result of the reference model.

Random nested definitions (``random_definitions``) with random paces, concurrency, buffers
and policies, under random schedules, against a model in plain Python (``reference_model``).
A failure prints the definition, the schedule's seed and what is wrong.
"""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

from asyncdataflow.errors import DataFlowError, DefinitionError
from asyncdataflow.testing.simulated_loop import SimulatedLoop
from tests.property.built_definitions import NOTATIONS, Built, ScriptedError
from tests.property.described import Fork, Options
from tests.property.random_definitions import ITEM, SALTS, broken_definitions, definitions
from tests.property.reference_model import Notes, outcome, sequence, shares
from tests.property.verdict import Observed, complaint

ON_LOOP = ("coroutine", "inline")
ANYWHERE = ("coroutine", "inline", "thread", "process")
MOST_TURNS = 100_000
PLACE = re.compile(r"definition(\[\d+\]|\['\w+'\]|\{[\w#]+\}|\.definition|\.on_error)*( \([\w#]+\))?: \S")

SEEDS = st.integers(0, 2**20)
ORDINARY = settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow],
    # The explain phase traces every line of the library, and two failures take twice as long to shrink.
    phases=set(Phase) - {Phase.explain},
    report_multiple_bugs=False,
)
FEWER = settings(ORDINARY, max_examples=100)
LONG = settings(ORDINARY, max_examples=3_000)
# Time to make a failure small: cut off before, it would not say which definition it was.
pytestmark = pytest.mark.timeout(300)


async def consumed(built, buffer, pace, fuse):
    """What a consumer sees of a run."""
    results, error = [], None
    flow = built.flow()
    flow.fuse = fuse
    run = flow.stream(buffer=buffer)
    try:
        async with run:
            async for item in run:
                results.append(item)
                if pace:
                    await asyncio.sleep(len(results) % (pace + 1))
    except (ScriptedError, DataFlowError) as raised:
        error = type(raised).__name__
    return Observed(results, built.letters, error), run


def seen(definition, seed, notation, buffer, pace, fuse):
    """A run on a loop of its own: what came of it, and what its stages counted at the end."""
    built = Built(definition, notation)
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(seed, most_turns=MOST_TURNS)) as runner:
        observed, run = runner.run(consumed(built, buffer, pace, fuse))
    return observed, run.stats().stages


def check(definition, seed, notation, buffer, pace, fuse):
    expected = outcome(definition)
    observed, stages = seen(definition, seed, notation, buffer, pace, fuse)
    event(f"ends with {observed.error or ('results' if observed.results else 'nothing')}")
    wrong = complaint(expected, observed)
    note(f"results: {observed.results}\ndead letters: {observed.letters}\nerror: {observed.error}")
    assert not wrong, wrong
    if observed.error is None and not expected.ends_early:
        left = {name: each for name, each in stages.items() if each.in_flight or each.queued}
        assert not left, f"stages have something left: {left}"


CASE = {
    "seed": SEEDS,
    "notation": st.sampled_from(NOTATIONS),
    "buffer": st.sampled_from([1, 2, 128]),
    "pace": st.integers(0, 2),
    "fuse": st.booleans(),
}


@ORDINARY
@given(definition=definitions(ON_LOOP), **CASE)
def test_a_definition_runs_to_the_result_of_the_model(definition, seed, notation, buffer, pace, fuse):
    check(definition, seed, notation, buffer, pace, fuse)


@FEWER
@given(definition=definitions(ANYWHERE), **CASE)
def test_so_does_one_with_threads_and_processes(definition, seed, notation, buffer, pace, fuse):
    check(definition, seed, notation, buffer, pace, fuse)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@LONG
@given(definition=definitions(ON_LOOP) | definitions(ANYWHERE), **CASE)
def test_thousands_of_definitions_run_to_the_result_of_the_model(
    definition, seed, notation, buffer, pace, fuse
):
    check(definition, seed, notation, buffer, pace, fuse)


@ORDINARY
@given(broken_definitions(), st.sampled_from(NOTATIONS))
def test_a_definition_with_a_fault_is_refused_with_its_place(definition, notation):
    # Parts of it are dataflows of their own, which are refused when they are made.
    with pytest.raises(DefinitionError) as refused:
        Built(definition, notation).flow()
    assert all(PLACE.match(line) for line in str(refused.value).splitlines()), str(refused.value)


@settings(ORDINARY, max_examples=60)
@given(definitions(ANYWHERE), SEEDS)
def test_one_schedule_gives_one_run_in_every_notation(definition, seed):
    runs = [seen(definition, seed, notation, 2, 1, fuse=True)[0] for notation in NOTATIONS]
    assert len(set(map(repr, runs))) == 1


def ideal(expected):
    """A run as the model would have it: everything that can come, lane by lane."""
    letters = [(each.sink, each.item, each.error, each.attempts) for each in expected.letters]
    items = expected.results.items
    return Observed(items if expected.results.exactly is None else items[: expected.results.exactly], letters)


@settings(ORDINARY, max_examples=100)
@given(definitions(ANYWHERE))
def test_the_model_accepts_its_own_result_and_none_that_is_ruined(definition):
    expected = outcome(definition)._replace(errors=frozenset(), must_fail=False)
    run = ideal(expected)
    assert complaint(expected, run) == ""
    assert "extra" in complaint(expected, run._replace(results=[*run.results, "one more"]))
    assert complaint(expected, run._replace(error="ScriptedError"))
    assert complaint(expected._replace(errors={"ScriptedError"}, must_fail=True), run)
    if any(piece.sure for piece in expected.results.pieces):
        assert "missing" in complaint(expected, run._replace(results=[]))
    if any(letter.sure for letter in expected.letters):
        assert "missing" in complaint(expected, run._replace(letters=[]))
    turned = run.results[::-1]
    if expected.results.is_sequence and list(map(repr, turned)) != list(map(repr, run.results)):
        assert "out of order" in complaint(expected, run._replace(results=turned))


@settings(ORDINARY, max_examples=50)
@given(st.lists(ITEM, max_size=8), SALTS, st.integers(2, 3))
def test_the_forks_of_the_model_conserve_items(items, salt, count):
    def counts(kind):
        notes = Notes()
        given = shares(Fork(salt, Options(), kind), sequence(items), count, notes)
        assert notes == Notes()
        return [len(stream.items) for stream in given]

    assert sum(counts("partition")) == sum(counts("balance")) == len(items)
    assert counts("split") == [len(items)] * count
    assert sum(counts("route")) <= count * len(items)
