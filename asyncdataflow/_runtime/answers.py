"""Answers: the part of a source's work that tells it what became of its messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..abc import Positions, Subscription
from ..errors import StageCancelledError
from ..following import Following
from ..histogram import Recorder
from ..stage import Stage
from .desk import AnswerDesk
from .leaving import Leaving
from .resume import Resume

__all__ = ("Answers",)


class Answers:
    """Of one source.

    Args:
        stage: The source's stage.
        leaving: How its workers are cancelled.
        resume: Where a sink keeps its positions: what tells them.
        fails: Called with what the source raised when it was told; true where it is opened anew,
            without having been told.
        following: What follows the messages.

    Attributes:
        is_lost: The session can be told nothing any more, and another one is to follow.
        puller: The task that pulls, while it does.
        subscription: The source's session, once it is open.
        took: How long messages took to be settled, in all sessions.
    """

    subscription: Subscription[Any]

    def __init__(
        self,
        stage: Stage[Any, Any],
        leaving: Leaving,
        resume: Resume | None,
        fails: Callable[[Exception], bool],
        following: Following | None = None,
    ) -> None:
        self._stage = stage
        self._leaving = leaving
        self._resume = resume
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fails = fails
        self._following = following
        self.took = Recorder()
        self._is_cut = self._is_finished = self.is_lost = False
        self._desk: AnswerDesk | None = None
        self.puller: asyncio.Task[Any] | None = None
        self._watched: asyncio.Task[Any] | None = None

    @property
    def desk(self) -> AnswerDesk:
        """Where its messages are answered, once it is open."""
        assert self._desk is not None, "open"  # noqa: S101 - for the type checker
        return self._desk

    @property
    def is_open(self) -> bool:
        """The source was opened."""
        return self._desk is not None

    async def after(self) -> Positions | None:
        """Where to go on; ``None`` is for the source itself to know."""
        self._desk = None
        self.is_lost = False
        self.puller = asyncio.current_task()
        # Whatever comes of the opening, nobody waits for it for ever.
        if self.puller is not None and self.puller is not self._watched:
            self._watched = self.puller
            self.puller.add_done_callback(self._tell)
        return None if self._resume is None else await self._resume.wait()

    def open(self, subscription: Subscription[Any]) -> None:
        """The source is open."""
        self.subscription = subscription
        self._desk = AnswerDesk(
            self._stage.title, subscription.answer, self._stage.fn.max_unacked, self.took, self._following
        )
        if self._is_finished:
            self.finish()
        # The worker that answers may have been cancelled while it waited.
        self._tell()

    async def work(self) -> None:
        """The life of the worker that answers, beside the one that pulls.

        Cancelled, it ends behind the call that it makes: nobody could say of a message in it
        whether it was answered.
        """
        opened = None
        while opened is not self._opened:
            opened = self._opened
            await opened
            desk = self._desk
            while desk is not None and await desk.news():
                self._leaving.begin()
                try:
                    await self._tell_of(desk)
                finally:
                    self._leaving.go_on()

    async def _tell_of(self, desk: AnswerDesk) -> None:
        try:
            await desk.tell()
        except Exception as error:
            if not self._fails(error):
                raise
            desk.mute()

    def renew(self) -> None:
        """Another session is to follow this one."""
        self._opened = asyncio.get_running_loop().create_future()

    @property
    def keeps_positions(self) -> bool:
        """A sink stores them: nothing may come again that could be stored all the same."""
        return self._resume is not None

    async def wait_for_room(self) -> bool:
        """Wait until one more may be given; false where the session can be told nothing any more."""
        await self.desk.wait_for_room()
        return not self.is_lost

    async def settle(self, seconds: float) -> bool:
        """Wait for what was given, so long at most; whether all is answered."""
        await self.desk.settle(seconds)
        return not self.desk.unacked

    def hurry(self) -> None:
        """Not to wait for that any longer."""
        if self._desk is not None:
            self._desk.hurry()

    def cut(self) -> None:
        """Wait for no further message."""
        if self.puller is not None and not self._is_cut:
            self._is_cut = True
            self.puller.cancel()

    def lose(self, *, waits: bool) -> None:
        """The session can be told nothing any more.

        Args:
            waits: Its next message is being waited for.
        """
        self.is_lost = True
        if waits and self.puller is not None:
            self.puller.cancel()

    def finish(self) -> None:
        """Of the source of a durable buffer: nothing more will be put, so that it ends when it is empty."""
        self._is_finished = True
        finish = getattr(getattr(self, "subscription", None), "finish", None)
        if finish is not None:
            finish()

    def stop(self) -> None:
        """The run stops: nothing that is let go from now on was done with."""
        if self._desk is not None:
            self._desk.stop()

    def nothing_left(self) -> None:
        """Nothing is under way any more: what is not settled never will be."""
        if self._desk is not None:
            self._desk.give_up()

    def was_cut(self, error: BaseException) -> bool:
        """Whether this is no more than that."""
        cancelled = isinstance(error, StageCancelledError | asyncio.CancelledError)
        return (self._is_cut or self.is_lost) and cancelled and not self._leaving.ordered()

    def _tell(self, _: object = None) -> None:
        if not self._opened.done():
            self._opened.set_result(None)
