"""A channel against a model in plain Python: any sequence of operations, looked at when all is quiet."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from asyncdataflow._runtime.channel import Channel
from asyncdataflow.errors import BufferFullError, ChannelClosed, EndOfChannel, WouldBlock
from asyncdataflow.policy import Buffer, Overflow
from asyncdataflow.testing.seeded_loop import quiet
from asyncdataflow.testing.virtual_loop import VirtualLoop

CANCELLED = asyncio.CancelledError


class Model:
    """What a channel is: a list, who waits at either side, and counts."""

    def __init__(self, capacity, limit, overflow, held):
        self.capacity, self.limit, self.overflow, self.keeps = capacity, limit, overflow, held
        self.items = []
        self.held = self.dropped = self.taken = self.accepted = self.discarded = 0
        self.senders = self.receivers = 1
        self.putting = []
        self.getting = []
        self.outcomes = {}

    @property
    def abandoned(self):
        return not self.receivers

    def fits(self, size):
        occupied = len(self.items) + self.held
        if occupied >= self.capacity:
            return False
        return self.limit is None or not occupied or sum(self.items) + size <= self.limit

    def put(self, size):
        """``None`` where it is in, or dealt with; else why not."""
        if self.abandoned:
            return ChannelClosed
        if not self.putting and self.fits(size):
            self.items.append(size)
            self.accepted += 1
            return None
        if self.overflow is Overflow.BLOCK:
            return WouldBlock
        if self.overflow is Overflow.FAIL:
            return BufferFullError
        self.accepted += 1
        if self.overflow is Overflow.DROP_OLDEST and self.items:
            self.items.pop(0)
            self.dropped += 1
            while self.items and not self.fits(size):
                self.items.pop(0)
                self.dropped += 1
            self.items.append(size)
        else:
            self.dropped += 1
        return None

    def take(self):
        """The item, or why there is none."""
        if self.items:
            self.taken += 1
            self.held += self.keeps
            return self.items.pop(0)
        return EndOfChannel if not self.senders else WouldBlock

    def settle(self):
        """Serve who waits, first come, first served, until nothing moves."""
        moved = True
        while moved:
            moved = False
            if self.abandoned:
                self.outcomes.update(dict.fromkeys((who for who, _ in self.putting), ChannelClosed))
                self.putting.clear()
            elif self.putting and self.fits(self.putting[0][1]):
                who, size = self.putting.pop(0)
                self.items.append(size)
                self.accepted += 1
                self.outcomes[who] = None
                moved = True
            if self.getting and (self.items or not self.senders):
                self.outcomes[self.getting.pop(0)] = self.take()
                moved = True


class ChannelMachine(RuleBasedStateMachine):
    """Items are their own sizes in bytes, each a new object, so that bounds in bytes are in play."""

    waiters = Bundle("waiters")

    def __init__(self):
        super().__init__()
        # First in, first out: under drawn steps two senders woken together may append in either order.
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.tasks = {}

    @initialize(
        capacity=st.integers(1, 4),
        limit=st.none() | st.integers(1, 8),
        overflow=st.sampled_from(Overflow),
        held=st.booleans(),
    )
    def open(self, capacity, limit, overflow, held):
        self.model = Model(capacity, limit, overflow, held)
        self.channel = self.on_loop(
            lambda: Channel(Buffer(capacity, limit, size=lambda item: item), overflow, held=held)
        )
        self.senders = [self.on_loop(self.channel.sender)]
        self.receivers = [self.on_loop(self.channel.receiver)]

    def on_loop(self, operation):
        """Call on the loop, and let everything that this sets free run out."""

        async def main():
            try:
                return operation()
            finally:
                await quiet()

        return self.runner.run(main())

    def raised_or_made(self, operation):
        try:
            return self.on_loop(operation)
        except (WouldBlock, EndOfChannel, ChannelClosed, BufferFullError) as error:
            return type(error)

    @precondition(lambda self: self.senders)
    @rule(size=st.integers(0, 9))
    def send_nowait(self, size):
        assert self.raised_or_made(lambda: self.senders[0].send_nowait(size)) == self.model.put(size)

    @precondition(lambda self: self.receivers and not self.model.getting)
    @rule()
    def receive_nowait(self):
        assert self.raised_or_made(self.receivers[0].receive_nowait) == self.model.take()

    @precondition(lambda self: self.senders)
    @rule(target=waiters, size=st.integers(0, 9))
    def send(self, size):
        who = self.started(lambda: self.senders[-1].send(size))
        outcome = self.model.put(size)
        if outcome is WouldBlock:
            self.model.putting.append((who, size))
        else:
            self.model.outcomes[who] = outcome
        return who

    @precondition(lambda self: self.receivers)
    @rule(target=waiters)
    def receive(self):
        who = self.started(self.receivers[-1].receive)
        self.model.getting.append(who)
        return who

    @rule(who=waiters)
    def cancel(self, who):
        self.on_loop(self.tasks[who].cancel)
        waiting = [each for each, _ in self.model.putting] + self.model.getting
        if who in waiting:
            self.model.putting = [each for each in self.model.putting if each[0] != who]
            self.model.getting = [each for each in self.model.getting if each != who]
            self.model.outcomes[who] = CANCELLED

    @precondition(lambda self: self.model.held)
    @rule()
    def release(self):
        self.model.held -= 1
        self.on_loop(self.channel.release)

    @precondition(lambda self: 0 < len(self.senders) < 3)
    @rule()
    def one_sender_more(self):
        self.model.senders += 1
        self.senders.append(self.on_loop(self.channel.sender))

    @precondition(lambda self: 0 < len(self.receivers) < 3)
    @rule()
    def one_receiver_more(self):
        self.model.receivers += 1
        self.receivers.append(self.on_loop(self.channel.receiver))

    @precondition(lambda self: self.senders and not self.model.putting)
    @rule()
    def close_a_sender(self):
        self.model.senders -= 1
        self.on_loop(self.senders.pop().close)

    @precondition(lambda self: self.receivers and not self.model.getting)
    @rule()
    def close_a_receiver(self):
        self.model.receivers -= 1
        if self.model.abandoned:
            self.model.discarded += len(self.model.items)
            self.model.items.clear()
        self.on_loop(self.receivers.pop().close)

    @rule()
    def nothing(self):
        """Always possible, once every end is closed too."""

    @invariant()
    def looks_like_the_model(self):
        """Invariants 1, 3, 8, 10, 11 and 12."""
        if not hasattr(self, "channel"):
            return
        model, seen = self.model, self.channel.statistics()
        model.settle()
        assert seen.items == len(model.items)
        assert seen.held == model.held
        assert (seen.taken, seen.dropped) == (model.taken, model.dropped)
        assert (seen.waiting_senders, seen.waiting_receivers) == (len(model.putting), len(model.getting))
        assert (seen.open_senders, seen.open_receivers) == (model.senders, model.receivers)
        assert model.accepted == seen.taken + seen.dropped + seen.items + model.discarded
        assert seen.items + seen.held <= max(seen.capacity, 1)
        assert not (seen.items and seen.waiting_receivers)
        for who, outcome in model.outcomes.items():
            assert self.outcome_of(self.tasks[who]) == outcome
        assert {who for who, task in self.tasks.items() if not task.done()} == {
            *(who for who, _ in model.putting),
            *model.getting,
        }

    def started(self, operation):
        async def main():
            task = asyncio.create_task(operation())
            await quiet()
            return task

        self.tasks[len(self.tasks)] = self.runner.run(main())
        return len(self.tasks) - 1

    @staticmethod
    def outcome_of(task):
        assert task.done()
        if task.cancelled():
            return CANCELLED
        error = task.exception()
        return task.result() if error is None else type(error)

    def teardown(self):
        async def bury():
            for task in self.tasks.values():
                task.cancel()
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)

        self.runner.run(bury())
        self.runner.close()


TestChannel = ChannelMachine.TestCase
TestChannel.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
