"""The part of a stage's work that sees one item through, whatever number it makes of it."""

from __future__ import annotations

from typing import Any

from ..naming import annotate, describe_error
from .call import Call
from .pull import NOTHING
from .reading import Loop, Reading

__all__ = ("Expanding",)


class Expanding(Reading):
    """One stage of one run, as far as an item comes to it by itself.

    Args:
        parts: As of ``Making``.
        options: As of ``Reading``.
    """

    async def whole(self, call: Call, item: Any) -> None:
        """An item from taking to sending."""
        if self._many:
            await self._expand(call, item, None)
        else:
            await self.emit(await self._made(call, item))

    async def _expand(self, call: Call, item: Any, turn: Loop | None) -> None:
        """Everything that the stage makes of an item, each sent before the next is made."""
        self.counters.received += 1
        if self.limiter is not None:
            await self.limiter.wait()
        since, began = self._loop.time(), self.meter.clock()
        attempt = 1
        while True:
            error, sent = await self._expand_once(call, item, turn)
            if error is None:
                break
            try:
                if sent:
                    # Part of it is on its way: another try would send that again.
                    await self.supervisor.give_up(error, item, attempt)
                    break
                if not await self.supervisor.again(error, item, attempt, since):
                    break
            finally:
                del error  # As in ``_made``.
            attempt += 1
        self.meter.recorder.add(self.meter.clock() - began)
        if self.tracks and sent:
            item.release()
        elif self.tracks:
            item.settle()
        self.counters.settled += 1

    async def _expand_once(self, call: Call, item: Any, turn: Loop | None) -> tuple[Exception | None, int]:
        """One pass: the stage's own error, if any, and how many were sent; the outlet's error is raised."""
        context = call.each(item.given if self.tracks else item)
        sent = 0
        try:
            items = await context.__aenter__()
        except Exception as error:  # noqa: BLE001 - what the stage raises is for its policies
            return error, sent
        failed: Exception | None = None
        through = False
        try:
            while True:
                made, failed = await self._next_of(items)
                if failed is not None or made is NOTHING:
                    break
                if turn is not None:
                    await turn()
                await self._send(item.part(made) if self.tracks else made)
                del made
                sent += 1
            through = True
        finally:
            self.leaving.begin()
            try:
                await context.__aexit__(None, None, None)
            except Exception as error:
                if not through:
                    # On the way out for another reason, which must not hide it.
                    raise
                if failed is not None:
                    annotate(failed, f"and then, on closing: {describe_error(error)}")
                failed = failed or error
            self.leaving.go_on()
        return failed, sent
