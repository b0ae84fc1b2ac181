"""Walk: a stretch whose items go through several stages, straight from one into the next.

The edges between these stages are empty while it lasts, and stay so: what lies in the first
one and in those behind the last one, and how far the item in hand has come, is all that is
needed to make up the books of every stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import CoroutineType
from typing import Any, Final

from ..histogram import Recorder
from .baton import Baton, Stretch, Tally, Way
from .edge import Edge
from .result import checked, is_awaited
from .unrolled import Ended, Unrolled

__all__ = ("Path", "Walk")

_MOST_KINDS: Final = 16


class Path:
    """The stages of a walk.

    Args:
        inlets: The edge into each.
        tallies: What each counts in.
        outlets: What the last puts into.
        functions: What each does with an item.
        awaited: Of each, whether what its function returns is to be awaited.
        lay: Puts what the last one made there.
        none: What the last one returns where that is no result.
        tracked: Items are tracked.
        took: How long items take along it.

    Attributes:
        kinds: Sorts of results that need no second look.
        loop: What takes items along it, one walk at a time: whoever walks has taken a role on it.
    """

    __slots__ = ("inlets", "kinds", "loop", "outlets", "tallies", "took")

    def __init__(
        self,
        *,
        inlets: Sequence[Edge[Any]],
        tallies: Sequence[Tally],
        outlets: Sequence[Way],
        functions: Sequence[Callable[[Any], Any]],
        awaited: Sequence[bool],
        lay: Callable[[Any], None],
        none: Any,
        tracked: bool,
        took: Recorder,
    ) -> None:
        self.took = took
        self.inlets = inlets
        self.tallies = tallies
        self.outlets = outlets
        self.kinds: set[type] = set()
        self.loop = Unrolled(functions, awaited, lay=lay, none=none, kinds=self.kinds, tracked=tracked)


class Walk(Stretch):
    """The walks of one worker, one after another; nothing of a stretch is made before the first.

    Args:
        baton: The run's.
    """

    __slots__ = ("_path", "_raised", "_walking")

    _path: Path
    _walking: CoroutineType[Any, Any, Ended]
    _raised: int | None

    def __init__(self, baton: Baton) -> None:
        self.baton = baton
        self._inlet = None

    def along(self, path: Path, items: int) -> CoroutineType[Any, Any, Ended]:
        """Take the baton, and, when that is awaited, so many items through the stages of a path."""
        if self._inlet is None or path is not self._path:
            self._follow(path)
        self._raised = None
        self._walking = path.loop.walk(self, self.lift(items))
        return self._walking

    def _follow(self, path: Path) -> None:
        self._path = path
        super().__init__(self.baton, path.inlets[0], path.outlets, path.tallies[0], works=True)

    @property
    def at(self) -> int:
        """The place of the stage that the item in hand is in."""
        frame = self._walking.cr_frame
        line = frame.f_lineno if frame is not None and self._raised is None else self._raised
        return self._path.loop.place(line or 0)

    def interrupt(self) -> None:
        """As in ``Stretch``."""
        super().interrupt()
        self._path.loop.stop()
        self.disturbed(self.at)

    def disturbed(self, at: int) -> None:
        """Somebody took the baton away while the item in hand is in the stage at this place."""

    def accepts(self, result: Any) -> bool:
        """Whether the walk goes on with a result that had to be looked at: nobody has disturbed it.

        One of its sort needs no look again, except that a plain function's may have to be awaited.
        """
        kind = type(checked(result))
        if self.baton.holder is not self:
            return False
        kinds = self._path.kinds
        if len(kinds) < _MOST_KINDS and not is_awaited(kind):
            kinds.add(kind)
        return True

    def own_error(self, raised: BaseException) -> Exception | None:
        """A function has raised this: the walk ends, in its stage.

        Returns:
            It, as an error of that stage; ``None`` where it is not one.
        """
        if self.baton.holder is self and not isinstance(raised, GeneratorExit):
            trace = raised.__traceback__
            self._raised = None if trace is None else trace.tb_lineno
            self.baton.drop()
        return None

    def moved(self, edge: Edge[Any]) -> tuple[int, int]:
        """As in ``Stretch``; what goes by an edge counts."""
        lifted, coming = super().moved(edge)
        if not lifted and edge in self._path.inlets:
            lifted = self.progress()[0] - (self._path.inlets.index(edge) > self.at)
        return lifted, coming

    def count_interrupted(self, tally: Tally, figures: Tally) -> None:
        """As in ``Stretch``."""
        for place, own in enumerate(self._path.tallies):
            if own is tally:
                self._add(figures, place, self.at, self.progress())

    def _count(self, tally: Tally, in_hand: int) -> tuple[int, int]:
        """As in ``Stretch``, but for every stage."""
        path, progress = self._path, self.progress()
        if not in_hand:
            self._count_whole(path, *progress)
            return progress
        at = self.at
        for place, own in enumerate(path.tallies):
            self._add(own, place, at, progress)
            if place:
                path.inlets[place].passed(progress[0] - (place > at))
        return progress

    def _count_whole(self, path: Path, taken: int, put: int) -> None:
        """All that was taken has gone through every stage."""
        for own in path.tallies:
            own.received += taken
            own.settled += taken
            own.sent += taken
        own.sent += put - taken
        own.filtered += taken - put
        for inlet in path.inlets[1:]:
            inlet.passed(taken)

    def _add(self, tally: Tally, place: int, at: int, progress: tuple[int, int]) -> None:
        """Add what one stage did, where the item in hand is in another."""
        taken, put = progress
        begun = taken - (place > at)
        settled = begun - (place == at)
        sent = put if place == len(self._path.tallies) - 1 else settled
        tally.received += begun
        tally.settled += settled
        tally.sent += sent
        tally.filtered += settled - sent
