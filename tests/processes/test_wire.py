"""The two ends of what joins a worker process to its parent."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from asyncdataflow._processes import wire
from asyncdataflow._processes.wire import Begun, Incoming, Outgoing, send_whole


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def read(incoming):
    while (message := incoming.read()) is None:
        pass
    return bytes(message)


class TestMessages:
    @pytest.mark.parametrize("sizes", [[1], [1, 1, 1], [70_000, 1, 2], [1 << 20]])
    def test_they_arrive_whole_and_in_order(self, ends, sizes):
        ours, theirs = ends
        sent = [os.urandom(size) for size in sizes]
        thread = threading.Thread(target=lambda: [send_whole(theirs, each) for each in sent])
        thread.start()
        incoming = Incoming(ours)
        assert [read(incoming) for _ in sent] == sent
        thread.join()

    def test_no_more_is_read_than_one_message(self, ends):
        """So that whether there is something to read tells whether the other side has said something."""
        ours, theirs = ends
        send_whole(theirs, b"one")
        send_whole(theirs, b"two")
        incoming = Incoming(ours)
        assert read(incoming) == b"one"
        assert ours.recv(100)[8:] == b"two"

    @pytest.mark.parametrize("before", [0, 3, 9])
    def test_an_end_in_the_middle_is_an_end(self, ends, before):
        ours, theirs = ends
        theirs.sendall((5).to_bytes(8, "little") + b"abcde"[: max(before - 8, 0)])
        theirs.close()
        incoming = Incoming(ours)
        with pytest.raises(EOFError):
            read(incoming)


class TestOutgoing:
    def test_what_does_not_go_at_once_does_not_wait_and_goes_later(self, ends):
        ours, theirs = ends
        large = os.urandom(4 << 20)
        outgoing = Outgoing(ours)
        outgoing.put(large)
        outgoing.put(b"behind it")
        received = []

        def receive():
            incoming = Incoming(theirs)
            received.extend([read(incoming), read(incoming)])

        thread = threading.Thread(target=receive)
        thread.start()
        outgoing.push_until_readable()
        thread.join()
        assert received == [large, b"behind it"]

    def test_it_stops_pushing_when_there_is_something_to_read(self, ends):
        ours, theirs = ends
        outgoing = Outgoing(ours)
        outgoing.put(bytes(4 << 20))
        send_whole(theirs, b"read me")
        outgoing.push_until_readable()
        assert read(Incoming(ours)) == b"read me"

    def test_what_was_said_before_the_other_end_went_is_still_to_be_read(self, ends):
        ours, theirs = ends
        outgoing = Outgoing(ours)
        outgoing.put(b"nobody will read this")
        send_whole(theirs, b"last words")
        theirs.close()
        outgoing.put(bytes(4 << 20))
        outgoing.push_until_readable()
        incoming = Incoming(ours)
        assert read(incoming) == b"last words"
        with pytest.raises((EOFError, ConnectionError)):
            read(incoming)


class TestBegun:
    def test_it_counts_and_tells_also_when_it_is_closed(self):
        begun = Begun()
        begun.add()
        begun.add()
        assert begun.count() == 2
        begun.close()
        assert begun.count() == 2

    def test_both_ends_see_the_same(self):
        begun = Begun()
        other = Begun(os.dup(begun._file))
        other.add()
        assert begun.count() == 1
        other.close()
        begun.close()

    def test_without_memory_files_too(self, monkeypatch):
        monkeypatch.delattr(wire.os, "memfd_create", raising=False)
        self.test_both_ends_see_the_same()
