"""Lines of files as items: positions, torn and hostile lines, files that change under the reader."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import zlib

import pytest

from asyncdataflow import Retry
from asyncdataflow.connectors.json_lines import JsonLinesSource
from asyncdataflow.errors import (
    BadMessageError,
    CorruptStorageError,
    RedeliveryError,
    SourceChangedError,
    StorageError,
    StorageFullError,
)
from asyncdataflow.message import Message
from asyncdataflow.testing import check_ackable_source
from tests.connectors.answering import ack, items_of, nack, take

SOON = Retry(attempts=3, backoff=0.001)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(name, *lines, end="\n"):
    with open(name, "ab") as file:
        for line in lines:
            file.write((line if isinstance(line, bytes) else json.dumps(line).encode()) + end.encode())


async def read(source, most=None, after=None):
    async with source.open(after) as session:
        return await take(session, most)


async def items(source, **options):
    return items_of(await read(source, **options))


async def run(source):
    """Read to the end and ack everything."""
    async with source.open() as session:
        messages = await take(session)
        await ack(session, *messages)
    return items_of(messages)


@pytest.mark.parametrize("paths", [["a"], ["a", "b"]], ids=["a file", "two files"])
def test_it_keeps_the_rules_of_an_answered_source(folder, paths):
    numbers = itertools.count()

    def make():
        place = folder / str(next(numbers))
        place.mkdir()
        names = [str(place / name) for name in paths]
        for at, name in enumerate(names):
            for n in range(3 // len(paths) + 1):
                put(name, {"file": at, "n": n})
        return JsonLinesSource(names, positions=place / "positions", redeliver=SOON)

    expected = [{"file": at, "n": n} for at in range(len(paths)) for n in range(3 // len(paths) + 1)]
    check_ackable_source(make, items=expected, low_water=True, positions=True, real_time=True, seeds=1)


async def test_a_position_is_the_offset_behind_the_line_and_the_partition_the_name(folder):
    put("a.jsonl", 1, "é", [])
    data = (folder / "a.jsonl").read_bytes()
    messages = await read(JsonLinesSource("a.jsonl"))
    assert [(each.item, each.position, each.partition) for each in messages] == [
        (1, (2, zlib.crc32(data[:2])), "a.jsonl"),
        ("é", (11, zlib.crc32(data[:11])), "a.jsonl"),
        ([], (14, zlib.crc32(data)), "a.jsonl"),
    ]


async def test_without_positions_each_run_begins_at_the_start(folder):
    put("a", 1, 2)
    source = JsonLinesSource("a")
    assert await run(source) == await run(source) == [1, 2]


async def test_with_positions_it_goes_on_where_the_first_gap_is(folder):
    put("a", *range(6))
    source = JsonLinesSource("a", positions="p")
    async with source.open() as session:
        messages = await take(session)
        await ack(session, messages[0], messages[3])
        await ack(session, messages[1])
        assert json.loads((folder / "p").read_text()) == {
            "partition": "a",
            "position": [4, zlib.crc32(b"0\n1\n")],
        }
    assert await items(source) == [2, 3, 4, 5]
    assert await run(source) == [2, 3, 4, 5]
    put("a", 6)
    assert await run(source) == [6]
    assert await run(source) == []
    assert sorted(os.listdir(folder)) == ["a", "p"]


async def test_after_wins_over_the_kept_positions(folder):
    put("a", *range(4))
    source = JsonLinesSource("a", positions="p")
    await run(source)
    assert await items(source, after={"a": 4}) == [2, 3]
    assert await items(source, after={}) == [0, 1, 2, 3]


async def test_two_that_are_open_at_once_share_nothing(folder):
    put("a", *range(3))
    source = JsonLinesSource("a")
    async with source.open() as first, source.open() as second:
        assert items_of(await take(first, 2)) == [0, 1]
        assert items_of(await take(second)) == [0, 1, 2]
        assert items_of(await take(first)) == [2]


HOSTILE = [
    pytest.param(b'{"n": ', id="torn in the middle"),
    pytest.param(b"\xff\xfe{}", id="no UTF-8"),
    pytest.param(b"\0\0\0", id="zeros"),
    pytest.param(b"[" * 100_000, id="deep"),
    pytest.param(b"1" * 5000, id="a number too long"),
    pytest.param(b'"' + b"x" * 300_000 + b'"', id="too long"),
    pytest.param(b"secret", id="no JSON"),
]


class TestBadLines:
    @pytest.mark.parametrize("line", HOSTILE)
    async def test_one_fails_with_its_place_and_not_its_content(self, folder, line):
        put("a", 1, line, 3)
        source = JsonLinesSource("a", max_line=200_000)
        async with source.open() as session:
            assert items_of(await take(session, 1)) == [1]
            with pytest.raises(BadMessageError, match=r"^a: the line at offset 2 is no item: ") as caught:
                await take(session)
            assert "secret" not in str(caught.value)
            with pytest.raises(BadMessageError):
                await take(session)

    @pytest.mark.parametrize("line", HOSTILE)
    async def test_one_is_skipped_and_told(self, folder, line, caplog):
        put("a", 1, line, 3, line)
        source = JsonLinesSource("a", positions="p", max_line=200_000, on_bad_line="skip")
        assert await run(source) == [1, 3]
        assert [each.message.split(" is no item")[0] for each in caplog.records] == [
            "a: the line at offset 2",
            f"a: the line at offset {5 + len(line)}",
        ]
        assert "secret" not in caplog.text
        caplog.clear()
        put("a", 5)
        assert await run(source) == [5]

    async def test_a_line_of_the_longest_length_passes(self, folder):
        put("a", b'"' + b"x" * 98 + b'"', b'"' + b"x" * 99 + b'"')
        async with JsonLinesSource("a", max_line=100).open() as session:
            assert len((await anext(session)).item) == 98
            with pytest.raises(BadMessageError, match="longer than max_line=100"):
                await anext(session)

    async def test_a_line_that_never_ends_takes_no_memory(self, folder):
        """Read to its end and told, whatever there is of it."""
        (folder / "a").write_bytes(b"x" * 3_000_000)
        with pytest.raises(BadMessageError, match="longer than max_line=1000 bytes"):
            await read(JsonLinesSource("a", max_line=1000))

    async def test_empty_lines_are_passed_over(self, folder):
        put("a", b"", 1, b"  ", b"\r", 2, b"")
        assert await items(JsonLinesSource("a")) == [1, 2]

    async def test_what_loads_raises_of_another_kind_comes_as_itself(self, folder):
        put("a", 1)

        def loads(text):
            raise LookupError

        with pytest.raises(LookupError):
            await read(JsonLinesSource("a", loads=loads))


class TestTornLastLine:
    @pytest.mark.parametrize("line", [b'{"n": 1}', b"[1]", b'"x"', b"true", b'{"n": 1}  '])
    async def test_a_whole_value_is_an_item(self, folder, line):
        put("a", 0)
        put("a", line, end="")
        source = JsonLinesSource("a", positions="p")
        assert await run(source) == [0, json.loads(line)]
        put("a", b"", 2)
        assert await run(source) == [2]

    @pytest.mark.parametrize("line", [b'{"n": ', b'{"a": {"b": 1}', b"12", b'"x', b"tru"])
    async def test_else_it_is_a_bad_line(self, folder, line):
        put("a", 0)
        put("a", line, end="")
        async with JsonLinesSource("a").open() as session:
            assert items_of(await take(session, 1)) == [0]
            with pytest.raises(BadMessageError, match="offset 2"):
                await take(session)

    async def test_skipped_it_is_left_to_a_later_run(self, folder):
        put("a", 0)
        put("a", b'{"n":', end="")
        source = JsonLinesSource("a", positions="p", on_bad_line="skip")
        assert await run(source) == [0]
        put("a", b" 1}")
        assert await run(source) == [{"n": 1}]

    async def test_followed_its_end_is_waited_for(self, folder):
        put("a", b'{"n"', end="")
        async with JsonLinesSource("a", follow=True, poll=0.001).open() as session:
            coming = asyncio.ensure_future(anext(session))
            await asyncio.sleep(0.01)
            assert not coming.done()
            put("a", b": 1}")
            assert (await coming).item == {"n": 1}


class TestFollow:
    async def test_what_is_appended_comes(self, folder):
        put("a", 0)
        async with JsonLinesSource("a", follow=True, poll=0.001).open() as session:
            for n in range(1, 5):
                assert (await anext(session)).item == n - 1
                put("a", n)

    async def test_a_file_that_is_always_written_does_not_keep_back_another(self, folder):
        put("a", *range(1000))
        put("b", "b")
        async with JsonLinesSource(["a", "b"], follow=True).open() as session:
            assert "b" in items_of(await take(session, 500))

    async def test_a_file_that_is_cut_off_is_told(self, folder):
        put("a", 0, 1)
        async with JsonLinesSource("a", follow=True, poll=0.001).open() as session:
            await take(session, 2)
            os.truncate("a", 2)
            with pytest.raises(SourceChangedError, match=r"it ends at 2, and was read up to 4"):
                await anext(session)

    @pytest.mark.parametrize("again", [True, False], ids=["replaced", "deleted"])
    async def test_a_file_that_is_renamed_is_read_to_its_end_and_told(self, folder, again):
        put("a", 0)
        async with JsonLinesSource("a", follow=True, poll=0.001).open() as session:
            await take(session, 1)
            put("a", 1)
            os.rename("a", "a.1")
            if again:
                put("a", 2)
            assert (await anext(session)).item == 1
            with pytest.raises(SourceChangedError, match="renamed or deleted"):
                await anext(session)

    async def test_what_is_nacked_comes_while_it_waits(self, folder):
        put("a", 0)
        async with JsonLinesSource("a", follow=True, poll=50.0, redeliver=SOON).open() as session:
            (message,) = await take(session, 1)
            coming = asyncio.ensure_future(anext(session))
            await asyncio.sleep(0.01)
            await nack(session, message)
            assert (await coming).item == 0


class TestPositions:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "x",
            '{"partition":"a"}\n',
            '{"partition":"a","position":',
            '["a",1]\n',
            "[" * 9999 + "\n",
            "\xff\n",
        ],
    )
    async def test_a_file_that_is_none_is_told(self, folder, text):
        put("a", 0)
        (folder / "p").write_text(text, "latin-1")
        with pytest.raises(CorruptStorageError, match=r"^p: .*delete it to begin from the start"):
            await read(JsonLinesSource("a", positions="p"))

    @pytest.mark.parametrize("position", [-1, 1.5, "2", None, (2,), (-1, 0), (2, "x"), ("2", 0)])
    async def test_a_position_that_is_no_offset_is_refused(self, folder, position):
        put("a", 0)
        with pytest.raises((ValueError, StorageError), match="position"):
            await read(JsonLinesSource("a"), after={"a": position})

    async def test_a_shorter_file_is_another(self, folder):
        put("a", 0, 1, 2)
        source = JsonLinesSource("a", positions="p")
        await run(source)
        os.truncate("a", 2)
        with pytest.raises(SourceChangedError, match="it ends at 2, and was read up to 6"):
            await read(source)

    async def test_a_file_without_an_end_of_a_line_there_is_another(self, folder):
        put("a", "something else")
        with pytest.raises(SourceChangedError, match="no line ends at 6"):
            await read(JsonLinesSource("a"), after={"a": 6})

    async def test_a_disk_that_is_full_keeps_the_old_ones(self, folder, monkeypatch):
        put("a", *range(4))
        source = JsonLinesSource("a", positions="p")
        async with source.open() as session:
            first, second, *_ = await take(session)
            await ack(session, first)

            def full(descriptor, data):
                raise OSError(28, "No space left on device")

            with monkeypatch.context() as patch:
                patch.setattr("os.write", full)
                with pytest.raises(StorageFullError, match="p: keeping the positions failed: No space left"):
                    await ack(session, second)
        assert sorted(os.listdir(folder)) == ["a", "p"]
        assert await items(source) == [1, 2, 3]

    async def test_names_that_are_no_text_are_kept(self, folder):
        name = os.fsdecode(b"\xff\xe2\x80\xa8.jsonl")
        put(name, 0, 1)
        source = JsonLinesSource(name, positions="p")
        assert await run(source) == [0, 1]
        assert await run(source) == []


class TestNacks:
    async def test_they_come_again_before_new_ones_after_a_wait(self, folder):
        put("a", *range(5))
        async with JsonLinesSource("a", redeliver=Retry(backoff=0.05, jitter=0)).open() as session:
            messages = await take(session, 2)
            begun = asyncio.get_running_loop().time()
            await nack(session, *messages)
            assert items_of(await take(session)) == [0, 1, 2, 3, 4]
            # A loop may tell the time in whole milliseconds, as uvloop does.
            assert round(asyncio.get_running_loop().time() - begun, 3) >= 0.05

    async def test_a_mark_does_not_pass_one(self, folder):
        put("a", *range(4))
        source = JsonLinesSource("a", positions="p", redeliver=SOON)
        async with source.open() as session:
            first, *rest = await take(session, 3)
            await ack(session, *rest)
            await nack(session, first)
            (first,) = await take(session, 1)
        assert await items(source) == [0, 1, 2, 3]

    async def test_one_that_comes_too_often_fails_with_its_last_error(self, folder):
        put("a", *range(3))
        errors = [LookupError(n) for n in range(3)]
        async with JsonLinesSource("a", redeliver=SOON).open() as session:
            for error in errors:
                (message,) = await take(session, 1)
                assert message.item == 0
                await nack(session, message, error=error)
            with pytest.raises(
                RedeliveryError, match=r"position \(2, \d+\) of 'a' was given 3 times"
            ) as caught:
                await take(session)
            assert caught.value.__cause__ is errors[-1]

    async def test_one_that_is_not_worth_another_try_gets_none(self, folder):
        put("a", 0)
        async with JsonLinesSource("a", redeliver=Retry(on=OSError)).open() as session:
            await nack(session, *await take(session, 1))
            with pytest.raises(RedeliveryError, match="given 1 times"):
                await take(session)

    async def test_no_longer_than_is_told(self, folder):
        put("a", 0)
        async with JsonLinesSource(
            "a", redeliver=Retry(backoff=1.0, jitter=0, max_elapsed=0.5)
        ).open() as session:
            await nack(session, *await take(session, 1))
            with pytest.raises(RedeliveryError):
                await take(session)

    async def test_one_that_is_nacked_while_the_end_is_looked_for_comes_again(self, folder):
        put("a", 0)
        async with JsonLinesSource("a", redeliver=SOON).open() as session:
            (message,) = await take(session, 1)
            coming = asyncio.ensure_future(anext(session))
            await asyncio.sleep(0)
            await nack(session, message)
            assert (await coming).item == 0

    async def test_behind_the_end_one_is_left_to_the_next_run(self, folder):
        put("a", 0)
        source = JsonLinesSource("a", positions="p", redeliver=SOON)
        async with source.open() as session:
            messages = await take(session)
            await nack(session, *messages)
            assert await take(session) == []
        assert await items(source) == [0]

    async def test_an_answer_that_is_not_its_own_is_told(self, folder, caplog):
        put("a", 0)
        async with JsonLinesSource("a").open() as session:
            (message,) = await take(session)
            await ack(session, Message(1, 2, "b"))
            await ack(session, message)
            await ack(session, message)
        await ack(session, message)
        assert len(caplog.records) == 3
        assert "position 2 of partition 'b' came too late" in caplog.text


async def test_a_file_that_is_not_there_is_told_at_once(folder):
    with pytest.raises(StorageError, match="nowhere: opening failed: No such file") as caught:
        await read(JsonLinesSource("nowhere"))
    assert caught.value.errno == 2


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([""], {}),
        ([[]], {}),
        ([["a", "a"]], {}),
        ([3], {}),
        (["a\0"], {}),
        (["a"], {"positions": ""}),
        (["a"], {"max_line": 0}),
        (["a"], {"max_unacked": 0}),
        (["a"], {"poll": 0}),
        (["a"], {"poll": float("nan")}),
        (["a"], {"on_bad_line": "ignore"}),
        (["a"], {"redeliver": 3}),
        (["a"], {"loads": "json"}),
    ],
)
def test_what_is_out_of_range_is_refused_when_it_is_made(arguments, options):
    with pytest.raises((ValueError, TypeError), match=r"JsonLinesSource|iterable"):
        JsonLinesSource(*arguments, **options)
