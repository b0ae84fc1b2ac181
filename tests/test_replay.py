"""Dead letters, fed back to the stage where they failed."""

from __future__ import annotations

import pytest

from asyncdataflow import DataFlow, DefinitionError, Retry, dead_letter, stage, zip_
from asyncdataflow.connectors.json_lines import JsonLinesSink, JsonLinesSource
from asyncdataflow.errors import ItemError
from asyncdataflow.testing import QueueSource


class Service:
    """Knows some names, and learns more."""

    def __init__(self):
        self.known = {"a": 1}
        self.asked = []

    async def look_up(self, name):
        self.asked.append(name)
        return self.known[name]


async def letters_of(flow, letters, **options):
    async with flow.replay(letters, **options) as run:
        return [result async for result in run]


async def test_an_item_goes_on_from_where_it_failed():
    service, rejects, prepared = Service(), [], []

    def prepare(name):
        prepared.append(name)
        return name.lower()

    to_rejects = dead_letter(rejects.append)
    flow = DataFlow(
        (iter(["A", "B", "C"]), prepare, stage(service.look_up, on_error=to_rejects), lambda n: n * 10)
    )
    assert await flow.run() == [10]
    service.known["b"] = 2
    letters, rejects[:] = list(rejects), []
    assert await letters_of(flow, letters) == [20]
    assert prepared == ["A", "B", "C"]
    assert service.asked == ["a", "b", "c", "b", "c"]
    assert [letter.item for letter in rejects] == ["c"]


async def test_each_goes_to_its_own_stage():
    rejects = []
    fails = {"first": {1}, "second": {2}}

    def picky(name):
        async def work(item):
            if item in fails[name]:
                raise ValueError(item)
            return [*item, name] if isinstance(item, list) else [item, name]

        return stage(work, name=name, on_error=dead_letter(rejects.append))

    async def unwrap(made):
        return made[0] if made[0] != 2 else 2

    flow = DataFlow((iter([1, 2, 3]), picky("first"), unwrap, picky("second")))
    assert await flow.run() == [[3, "second"]]
    fails["first"].clear()
    fails["second"].clear()
    assert sorted(await letters_of(flow, list(rejects))) == [[1, "second"], [2, "second"]]


async def test_letters_of_a_file_are_acked_when_they_are_through(tmp_path):
    service = Service()
    path, positions = tmp_path / "rejects.jsonl", tmp_path / "done"
    flow = DataFlow(
        (iter(["a", "b", "c"]), stage(service.look_up, on_error=dead_letter(JsonLinesSink(path))))
    )
    assert await flow.run() == [1]
    service.known.update(b=2, c=3)
    again = JsonLinesSource(path, positions=positions)
    assert sorted(await letters_of(flow, again)) == [2, 3]
    assert await letters_of(flow, again) == []


async def test_a_letter_that_fails_again_is_a_letter_again_and_done():
    service, rejects = Service(), []
    flow = DataFlow(
        (iter(["b"]), stage(service.look_up, on_error=dead_letter(rejects.append), retry=Retry(2, backoff=0)))
    )
    await flow.run()
    queue = QueueSource([rejects.pop().as_dict()])
    assert await letters_of(flow, queue) == []
    assert queue.left == []
    assert (rejects[0].item, rejects[0].attempts) == ("b", 2)


async def test_only_the_parameters_that_are_needed_are_asked_for():
    def read(count):
        return range(count)

    async def scaled(item, *, factor):
        if item > 1:
            raise ValueError(item)
        return item * factor

    rejects = []
    flow = DataFlow((stage(read, many=True), stage(scaled, on_error=dead_letter(rejects.append))))
    assert await flow.run({"count": 2, "factor": 3}) == [0, 3]
    letter = {"stage": "scaled", "item": 1}
    assert await letters_of(flow, [letter], params={"factor": 5}) == [5]


@pytest.mark.parametrize(
    ("letter", "told"),
    [
        ({"stage": "look_ip", "item": 1}, "did you mean .look_up."),
        ({"item": 1}, "DeadLetters, or mappings with their 'stage' and 'item', not dict"),
        ("b", "not str"),
    ],
)
async def test_what_is_no_letter_is_told(letter, told):
    flow = DataFlow((iter(["b"]), stage(Service().look_up, on_error=dead_letter(print))))
    with pytest.raises(ItemError, match=told):
        await letters_of(flow, [letter])


def test_a_flow_that_cannot_be_replayed_says_why():
    with pytest.raises(DefinitionError, match="no stage of this flow sends dead letters"):
        DataFlow((range(1), str)).replay([])
    picky = stage(int, on_error=dead_letter(print))
    with pytest.raises(DefinitionError, match="branches meet here"):
        DataFlow(((range(1), (range(1), picky)), zip_)).replay([])
