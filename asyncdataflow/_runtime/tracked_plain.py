"""The loop of a worker on the loop whose items are tracked: as ``plain``, with an item's receipt beside it.

What was made of an item takes its place in what is tracked, so that nothing is made or
counted for the receipt on the way.
"""

from __future__ import annotations

import asyncio
from typing import Any

from .plain import PlainLoop
from .result import checked, is_awaited
from .tracked import Tracked, made_of

__all__ = ("TrackedLoop",)


class TrackedLoop(PlainLoop):
    """One worker; see ``PlainLoop``."""

    async def _await_each(self, items: int) -> int:
        function, lay, none, stretch = self.function, self.lay, self.none, self._stretch
        item = result = error = None
        lying = stretch.lift(items)
        stretch.usual = self._usual
        try:
            for item in lying:
                result = await function(item.given)
                if type(result) is stretch.usual:
                    item.item = result
                    lay(item)
                    result = None  # Else it lives until the next one is made.
                    continue
                if result is not none:
                    self._usual = type(checked(result))
                if self._baton.holder is not stretch:
                    self.suspends = not stretch.laid
                    break
                stretch.usual = self._usual
                self._settle(item, result)
                result = None
            else:
                return self._end(items)
        except (asyncio.CancelledError, Exception) as raised:
            error = self._own_error(raised)
            if error is None:
                raise
        try:
            return await self._see_out(items, error, item, result)
        finally:
            del error, item  # The error's traceback has this frame: a cycle.

    async def _call_each(self, items: int) -> int:
        function, lay, none, stretch = self.function, self.lay, self.none, self._stretch
        item = result = error = None
        lying = stretch.lift(items)
        stretch.usual = self._usual
        try:
            for item in lying:
                result = function(item.given)
                if type(result) is stretch.usual:
                    item.item = result
                    lay(item)
                    result = None  # Else it lives until the next one is made.
                    continue
                if is_awaited(type(result)):
                    self._baton.watch()  # Nobody knew before that this one may suspend.
                    result = await result
                if result is not none:
                    self._usual = type(checked(result))
                if self._baton.holder is not stretch:
                    self.suspends = not stretch.laid
                    break
                stretch.usual = self._usual
                self._settle(item, result)
                result = None
            else:
                return self._end(items)
        except (asyncio.CancelledError, Exception) as raised:
            error = self._own_error(raised)
            if error is None:
                raise
        try:
            return await self._see_out(items, error, item, result)
        finally:
            del error, item  # The error's traceback has this frame: a cycle.

    def _settle(self, item: Tracked, result: Any) -> None:
        """In a stretch: a result that was looked at leaves, or is none."""
        if result is self.none:
            item.settle()
        else:
            item.item = result
            self.lay(item)

    def _value_of(self, item: Tracked) -> Any:
        return item.given

    def _made_of(self, item: Tracked, result: Any) -> Tracked:
        return made_of(item, result)
