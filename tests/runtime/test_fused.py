"""Neighbouring stages that share what their workers do: what is the same, and what it saves."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import sys
import weakref
from collections import Counter, defaultdict

import pytest

from asyncdataflow import Buffer, DataFlow, DeadLetter, Rate, Retry, balance, dead_letter, stage, take
from asyncdataflow.errors import ShutdownTimeoutError
from asyncdataflow.stats import StageStats
from asyncdataflow.testing.virtual_clock import run_virtual
from tests.runtime.test_stats import check

PLACES = range(5)
BOTH = pytest.mark.parametrize("fuse", [True, False], ids=["fused", "apart"])


def now():
    return asyncio.get_running_loop().time()


async def numbers(n):
    for number in range(n):
        yield number


async def later(n):
    """Every worker waits by the time that the first item comes."""
    await asyncio.sleep(1)
    for number in range(n):
        yield number


class Row:
    """Five stages that write down what they do, and suspend where it is asked for.

    ``waits`` says for how many seconds a stage (by its place) waits with an item; ``None`` is
    not at all, and 0 one turn of the loop.
    """

    def __init__(self, waits=lambda place, item: None, plain=(), **options):
        self.waits = waits
        self.calls = []
        self.made_at = {}
        self.names = defaultdict(set)
        self.busy = Counter()
        self.most = Counter()
        self.stages = [
            stage(
                self._plain(place) if place in plain else self._coroutine(place),
                name=f"s{place}",
                **({"executor": "inline"} if place in plain else {}),
                **options.get(f"s{place}", options.get("all", {})),
            )
            for place in PLACES
        ]

    def _begin(self, place, item):
        self.calls.append((place, item))
        self.names[place].add(asyncio.current_task().get_name())

    def _plain(self, place):
        def call(item):
            self._begin(place, item)
            self.made_at[place, item] = now()
            return item

        return call

    def _coroutine(self, place):
        async def call(item):
            self._begin(place, item)
            self.busy[place] += 1
            self.most[place] = max(self.most[place], self.busy[place])
            try:
                seconds = self.waits(place, item)
                if seconds is not None:
                    await asyncio.sleep(seconds)
            finally:
                self.busy[place] -= 1
            self.made_at[place, item] = now()
            return item

        return call


def run(row, n=30, *, fuse, source=numbers, buffer=128):
    """The results, and when they were there."""

    async def main():
        flow = DataFlow((source, *row.stages), fuse=fuse)
        async with flow.stream({"n": n}, buffer=buffer) as run:
            return [each async for each in run], now()

    return run_virtual(main())


@BOTH
class TestNothingWaitsLonger:
    def test_five_stages_that_wait(self, fuse):
        row = Row(lambda place, item: 0.001)
        results, seconds = run(row, 100, fuse=fuse)
        assert results == list(range(100))
        assert seconds == pytest.approx(0.104)
        assert set(row.most.values()) == {1}

    @pytest.mark.parametrize("place", PLACES)
    def test_one_stage_that_waits(self, fuse, place):
        row = Row(lambda here, item: 0.001 if here == place else None)
        results, seconds = run(row, 100, fuse=fuse)
        assert results == list(range(100))
        assert seconds == pytest.approx(0.1)

    def test_one_item_in_ten_waits(self, fuse):
        row = Row(lambda place, item: 0.001 if item % 10 == place else None)
        results, seconds = run(row, 1000, fuse=fuse)
        assert results == list(range(1000))
        assert seconds < 0.11

    @pytest.mark.parametrize("taken", [0, 3])
    @pytest.mark.parametrize("place", PLACES)
    def test_an_item_that_never_comes_back_holds_up_only_what_is_behind_it(self, fuse, place, taken):
        """Also where nobody happens to look at any edge meanwhile."""
        row = Row(lambda here, item: 1e9 if (here, item) == (place, 3) else None)

        async def main():
            async with DataFlow((later, *row.stages), fuse=fuse).stream({"n": 10}) as run:
                results = [await anext(run) for _ in range(taken)]
                await asyncio.sleep(5)
                return results, Counter(here for here, _ in row.calls)

        results, begun = run_virtual(main())
        assert results == [0, 1, 2][:taken]
        assert [begun[here] for here in PLACES] == [
            10 if here < place else 4 if here == place else 3 for here in PLACES
        ]


@pytest.mark.parametrize("seed", range(40))
def test_every_item_is_made_when_it_would_be_with_a_worker_for_each_stage(seed):
    def draw():
        dice = random.Random(seed)
        often, small = dice.choice([0.02, 0.1, 0.5]), dice.choice([1, 2, 128])
        waits = {
            (place, item): dice.choice([None, 0, dice.random()]) if dice.random() < often else None
            for place in PLACES
            for item in range(60)
        }
        plain = (1, 3) if dice.random() < 0.3 else ()
        row = Row(lambda place, item: waits[place, item], plain, all={"buffer": small})
        return row, dice.choice([1, 2, 128])

    (fused, buffer), (apart, _) = draw(), draw()
    got = run(fused, 60, fuse=True, buffer=buffer), run(apart, 60, fuse=False, buffer=buffer)
    assert got[0] == got[1] == (list(range(60)), got[1][1])
    assert fused.made_at == apart.made_at
    for place in PLACES:
        assert [item for here, item in fused.calls if here == place] == list(range(60))
    assert all(most == 1 for most in fused.most.values())


class Failing(Row):
    """One stage raises on one item in five; with ``wait`` it suspends before."""

    def __init__(self, place, wait, error=ValueError, **options):
        self.place, self.wait, self.error = place, wait, error
        super().__init__(**options)

    def _coroutine(self, place):
        call = super()._coroutine(place)
        if place != self.place:
            return call

        async def fail(item):
            made = await call(item)
            if self.wait:
                await asyncio.sleep(1)
            if item % 5 == 3:
                raise self.error(f"{item}")
            return made

        return fail

    def outcome(self, *, fuse):
        """All that can be known of a run."""

        async def main():
            run = DataFlow((later, *self.stages), fuse=fuse).stream({"n": 20})
            results, failure = [], None
            try:
                async with run:
                    async for each in run:
                        results.append(each)
            except ValueError as error:
                failure = repr(error), error.__notes__
            stats = run.stats()
            if failure is None:
                check(stats, ["later", "s0", "s1", "s2", "s3", "s4"])
                return results, failure, {name: counts(each) for name, each in stats.stages.items()}
            # What lay in the edges then is nobody's business.
            return results, failure, stats.stages[f"s{self.place}"].failed

        return run_virtual(main())


def counts(stats):
    """What does not depend on how long a retry was drawn to wait."""
    nothing = StageStats()
    timed = ("elapsed", "busy", "waiting", "blocked", "latency")
    return dataclasses.replace(stats, **{name: getattr(nothing, name) for name in timed})


@pytest.mark.parametrize("wait", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("place", PLACES)
class TestErrorsAreTheSame:
    @pytest.mark.parametrize(
        "options",
        [{}, {"on_error": "skip"}, {"retry": Retry(2, backoff=0.5)}, {"retry": 2, "on_error": "skip"}],
        ids=str,
    )
    def test_each_policy(self, place, wait, options):
        fused, apart = (
            Failing(place, wait, **{f"s{place}": options}).outcome(fuse=fuse) for fuse in (True, False)
        )
        results, failure, _ = fused
        assert fused[1:] == apart[1:]
        if "on_error" in options:
            assert results == apart[0] == [n for n in range(20) if n % 5 != 3]
        else:
            # Apart, it may come before the first of them has gone through.
            assert [0, 1, 2][: len(apart[0])] == apart[0]
            assert results == [0, 1, 2]
            attempt = 2 if "retry" in options else 1
            assert failure is not None
            assert f"in stage s{place} " in failure[1][0]
            assert f"attempt {attempt} of {attempt}, item: " in failure[1][0]

    @BOTH
    def test_dead_letters(self, place, wait, fuse):
        letters: list[DeadLetter] = []

        async def keep(letter):
            letters.append(letter)

        row = Failing(place, wait, **{f"s{place}": {"on_error": dead_letter(keep)}})
        results, _, stats = row.outcome(fuse=fuse)
        assert results == [n for n in range(20) if n % 5 != 3]
        assert [(each.item, each.stage, each.attempts) for each in letters] == [
            (n, f"s{place}", 1) for n in (3, 8, 13, 18)
        ]
        assert stats[f"s{place}"].dead_lettered == 4

    @BOTH
    def test_a_generator_object_is_refused_where_it_was_returned(self, place, wait, fuse):
        row = Row()

        async def mistaken(item):
            if wait:
                await asyncio.sleep(1)
            return (each for each in [item])

        row.stages[place] = stage(mistaken, name="mistaken")

        async def main():
            with pytest.raises(TypeError, match="generator object") as caught:
                await DataFlow((later, *row.stages), fuse=fuse).run({"n": 5})
            return caught.value.__notes__

        assert "in stage mistaken" in run_virtual(main())[0]


@BOTH
class TestFigures:
    def test_they_add_up_wherever_one_looks(self, fuse):
        """From inside every stage, before and behind its waits, and from outside at every turn."""
        looked = Counter()

        async def main():
            runs = []

            def look(where):
                looked[where] += 1
                stats = runs[0].stats()
                check(stats, ["later", "s0", "s1", "s2", "s3", "s4"])
                return stats

            def inside(place, item):
                each = look(f"s{place}").stages[f"s{place}"]
                assert (each.received, each.in_flight) == (item + 1, 1)
                return (None, None, None, 0, 1.0)[(item + 3 * place) % 5]

            async def outside():
                while True:
                    look("outside")
                    await asyncio.sleep(0)
                    await asyncio.sleep(0.3)

            async with DataFlow((later, *Row(inside, all={"buffer": 4}).stages), fuse=fuse).stream(
                {"n": 40}
            ) as run:
                runs.append(run)
                watcher = asyncio.create_task(outside())
                try:
                    assert [each async for each in run] == list(range(40))
                finally:
                    watcher.cancel()
            look("end")

        run_virtual(main())
        assert [looked[f"s{place}"] for place in PLACES] == [40] * 5
        assert looked["outside"] > 10

    def test_what_is_filtered_behind_the_last(self, fuse):
        async def odd(item):
            return item if item % 2 else None

        async def main():
            run = DataFlow((later, *Row().stages, odd), fuse=fuse).stream({"n": 10})
            async with run:
                assert [each async for each in run] == [1, 3, 5, 7, 9]
            return run.stats().stages["odd"]

        figures = run_virtual(main())
        assert (figures.received, figures.sent, figures.filtered) == (10, 5, 5)


@BOTH
class TestEnds:
    @pytest.mark.parametrize("place", PLACES)
    def test_what_is_retired_from_behind_is_cancelled_where_it_is(self, fuse, place):
        cut = []

        async def stuck(item):
            if item == 3:
                try:
                    await asyncio.sleep(1e6)
                except asyncio.CancelledError:
                    await asyncio.sleep(0.5)
                    cut.append(asyncio.current_task().get_name())
                    raise
            return item

        row = Row()
        row.stages[place] = stage(stuck, name="stuck")

        async def main():
            flow = DataFlow((later, *row.stages, take(3)), fuse=fuse, name="flow")
            return await flow.run({"n": 1000}), now()

        assert run_virtual(main()) == ([0, 1, 2], 1.5)
        assert cut == ["flow: stuck"]

    @pytest.mark.parametrize("place", PLACES)
    def test_who_swallows_its_cancellation_is_named(self, fuse, place):
        free = asyncio.Event()

        async def deaf(item):
            while item == 3 and not free.is_set():
                try:
                    await free.wait()
                except asyncio.CancelledError:
                    continue
            return item

        row = Row()
        row.stages[place] = stage(deaf, name="deaf")

        async def main():
            run = DataFlow((later, *row.stages), fuse=fuse).stream({"n": 10})
            with pytest.raises(
                ShutdownTimeoutError, match=r"stage deaf .* swallows its cancellation"
            ) as caught:
                async with run:
                    async for each in run:
                        if each == 2:
                            break
                    await asyncio.sleep(1)
            free.set()
            return str(caught.value)

        assert run_virtual(main()).count("swallows") == 1

    @pytest.mark.parametrize("way", ["break", "stop", "drain"])
    def test_early(self, fuse, way):
        row = Row(lambda place, item: 0.5 if (item + place) % 3 == 0 else None)

        async def main():
            results = []
            async with DataFlow((later, *row.stages), fuse=fuse).stream({"n": 1000}) as run:
                async for each in run:
                    results.append(each)
                    if each == 10:
                        if way == "break":
                            break
                        getattr(run, way)()
            return results

        results = run_virtual(main())
        assert results == list(range(len(results)))
        assert len(results) >= 11
        assert not any(row.busy.values())

    def test_a_run_inside_a_stage(self, fuse):
        async def inner(item):
            row = Row(lambda place, item: 0 if item % 2 else None)
            return sum(await DataFlow((numbers, *row.stages), fuse=fuse).run({"n": item}))

        async def main():
            return await DataFlow((later, *Row().stages[:2], inner, *Row().stages[3:]), fuse=fuse).run(
                {"n": 8}
            )

        assert run_virtual(main()) == [sum(range(n)) for n in range(8)]

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has no eager tasks yet")
    @pytest.mark.parametrize("source", [numbers, later])
    def test_eager_tasks(self, fuse, source):
        row = Row(lambda place, item: 0 if (item + place) % 7 == 0 else None)

        async def main():
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            return await DataFlow((source, *row.stages), fuse=fuse).run({"n": 300})

        assert run_virtual(main()) == list(range(300))

    @pytest.mark.parametrize("place", [0, 2, 4])
    @pytest.mark.parametrize("suspends", [True, False])
    def test_what_a_plain_function_hands_back_to_be_awaited_fails_with_the_item(self, fuse, place, suspends):
        seen = []

        async def fail_once(item):
            if suspends:
                await asyncio.sleep(0)
            seen.append(item)
            if item == 7 and seen.count(7) == 1:
                raise ValueError
            return item

        def hand_back(item):
            return fail_once(item)

        row = Row(plain=PLACES).stages
        row[place] = stage(hand_back, executor="inline", retry=Retry(attempts=2, backoff=1))
        assert run_virtual(DataFlow((later, *row), fuse=fuse).run({"n": 10})) == list(range(10))
        assert seen == [*range(8), 7, 8, 9]

    def test_the_loop_is_given_back_although_every_item_fails(self, fuse):
        async def fails(item):
            raise ValueError

        async def main():
            turns = 0

            async def count():
                nonlocal turns
                while True:
                    await asyncio.sleep(0)
                    turns += 1

            counting = asyncio.create_task(count())
            row = [*Row().stages[:3], stage(fails, on_error="skip"), *Row().stages[4:]]
            assert await DataFlow((numbers, *row), fuse=fuse).run({"n": 5000}) == []
            counting.cancel()
            return turns

        assert run_virtual(main()) > 10


@BOTH
@pytest.mark.parametrize("place", PLACES)
def test_nothing_keeps_what_an_item_was_before(fuse, place):
    """While a stage waits, what was taken out of the first edge is gone, or is what it has in hand."""
    seen = weakref.WeakSet()

    class Thing:
        def __init__(self):
            seen.add(self)

    async def things(n):
        await asyncio.sleep(1)
        yield Thing()

    async def other(thing):
        return Thing()

    async def stuck(thing):
        other = Thing()
        del thing
        await asyncio.sleep(100)
        return other

    async def main():
        row = [stage(stuck if here == place else other, name=f"s{here}") for here in PLACES]
        async with DataFlow((things, *row), fuse=fuse).stream({"n": 1}) as run:
            await asyncio.sleep(50)
            alive = len(seen)
            assert await anext(run) is not None
        return alive

    # What it was given, which whoever calls it holds, and what it has made.
    assert run_virtual(main()) == 2


@BOTH
@pytest.mark.parametrize("buffer", [1, 3])
def test_a_consumer_that_takes_nothing_stops_it_at_exactly_the_bound(fuse, buffer):
    pulled = 0

    async def endless():
        nonlocal pulled
        while True:
            pulled += 1
            yield pulled

    async def main():
        flow = DataFlow((endless, *Row(all={"buffer": buffer}).stages), fuse=fuse)
        async with flow.stream(buffer=2):
            await asyncio.sleep(10)
        assert pulled == flow.bound(2)

    run_virtual(main())


def test_a_task_is_named_for_the_stage_it_works_in():
    row = Row(lambda place, item: (None, 0, 0.5)[(item * 5 + place * 3) % 3])
    run(row, 50, fuse=True, source=later)
    names = Counter(name for each in row.names.values() for name in each)
    assert set(names) == {f"dataflow: s{place}" for place in PLACES}


class TestWhichStages:
    @pytest.fixture
    def groups(self):
        """The names of the stages of each group of a flow."""

        async def found(flow):
            seen = {}
            async with flow.stream({"n": 1}) as run:
                await anext(run, None)
                for work in run._execution.works:
                    if work.group is not None:
                        seen[id(work.group)] = [role.work.stage.title for role in work.group.roles]
            return sorted(seen.values())

        return lambda *steps, **options: run_virtual(found(DataFlow((later, *steps), **options)))

    @staticmethod
    def steps(**options):
        a, b, c, d = (stage(Row()._coroutine(0), name=name, **options.get(name, {})) for name in "abcd")
        return a, b, c, d

    def test_neighbours_with_one_worker(self, groups):
        assert groups(*self.steps()) == [["a", "b", "c", "d"]]
        assert groups(*self.steps(c={"retry": 3, "on_error": "skip", "buffer": 1})) == [["a", "b", "c", "d"]]

    def test_none_where_that_is_said(self, groups):
        assert groups(*self.steps(), fuse=False) == []

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            ({"concurrency": 2}, [["a", "b"]]),
            ({"timeout": 5}, [["a", "b"]]),
            ({"rate": Rate(100, 1)}, [["a", "b"]]),
            # Nothing is laid into such an edge unseen, so that the stage before it goes alone too.
            ({"overflow": "drop_oldest"}, []),
            ({"buffer": Buffer(items=5, bytes=10_000)}, []),
        ],
        ids=str,
    )
    def test_not_with_one_that_has_more_to_do(self, groups, options, found):
        assert groups(*self.steps(c=options)) == found

    def test_not_across_a_branch_or_a_merge(self, groups):
        a, b, c, d = self.steps()
        assert groups(a, {b, c}, d) == []
        assert groups({a, b}, c, d) == [["c", "d"]]
        assert groups(a, b, balance(), {c, d}) == [["a", "b"]]
