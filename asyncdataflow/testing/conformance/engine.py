"""check_engine: what a consumer relies on in a run, wherever its workers live."""

from __future__ import annotations

import functools
from typing import Final

from ...engine import Engine
from . import run_results, run_signals
from .feeding import Trial
from .rules import Rule, judge

__all__ = ("check_engine",)

_RULES: Final = (
    (Rule("RS 1.1", "No more is pulled than was asked for and has room."), run_signals.pulls_on_demand),
    (Rule("RS 1.3", "Results are given one at a time."), run_signals.gives_one_at_a_time),
    (Rule("RS 1.4", "What a stage raised comes out as itself."), run_signals.raises_what_failed),
    (
        Rule("RS 1.5", "It ends when its items end."),
        run_signals.ends_when_its_items_end,
    ),
    (Rule("RS 1.7", "It ends once: whoever asks again hears the end again."), run_signals.ends_once),
    (Rule("RS 1.8", "Once it is closed, no result comes any more."), run_signals.gives_nothing_when_closed),
    (Rule("RS 1.9", "Nothing runs before it is entered or asked."), run_signals.begins_when_entered),
    (Rule("RS 3.5", "Any task may close it, in good time, also at once."), run_signals.closes_from_anywhere),
    (Rule("RS 3.7", "Closing it again is nothing."), run_signals.closes_again),
    (Rule("RS 3.12", "Closed or stopped, its source stops."), run_signals.stops_its_source),
    (Rule("RS 3.13", "Closed, it lets go of what it was given."), run_signals.lets_go),
    (Rule("A8", "A chain keeps the order of its items."), run_results.keeps_order),
    (Rule("B13", "An ordered stage of several workers does too."), run_results.keeps_order_of_many_workers),
    (Rule("B15", "Every branch of a broadcast gets every item, in order."), run_results.broadcasts),
    (Rule("B17", "A merge ends when all that it merges has ended."), run_results.merges),
    (Rule("B21", "Any object is an item; results that are None are left out."), run_results.takes_any_item),
    (Rule("C22", "Left in the middle, it leaves nothing behind."), run_signals.leaves_nothing),
    (Rule("C24", "A cancellation of its consumer comes out as one."), run_signals.is_cancelled),
    (Rule("C29", "Runs of one flow share nothing."), run_results.shares_nothing),
    (
        Rule("D34", "What failed names its stage, and is in failures."),
        run_signals.names_the_stage,
    ),
    (Rule("D35", "What failed comes out when all else is closed."), run_signals.raises_when_all_is_closed),
    (Rule("D36", "An error of the block comes out as itself."), run_signals.passes_errors_of_the_block),
    (Rule("D44", "Results that lie ready come before what failed."), run_signals.signals_after_results),
    (Rule("F58", "Drained, it gives the results of all that was pulled."), run_results.drains),
    (Rule("G69", "run() gives one value where the graph can make only one."), run_results.gives_one_value),
    (Rule("H71", "Its figures add up."), run_results.counts),
)


def check_engine(engine: Engine, *, settle: float = 0.1, deadline: float = 10.0) -> tuple[Rule, ...]:
    """Try whether the runs of an engine keep what runs promise.

    Small flows run on it, on loops of their own and in real time: call it from a plain test
    function. Their functions can be pickled by name; what a run pulls is seen in its
    ``items=``, which are read in this process. The rules are

    - RS 1.1: no more is pulled than was asked for and has room, which is ``flow.bound()``;
    - RS 1.3: results are given one at a time: a second ``__anext__`` beside one that waits is refused;
    - RS 1.4: what a stage raised comes out as itself;
    - RS 1.5: it ends when its items end, behind the last result;
    - RS 1.7: it ends once, also by an error: whoever asks again hears the end again;
    - RS 1.8: once it is closed, no result comes any more;
    - RS 1.9: nothing runs before it is entered or asked;
    - RS 3.5: any task may close it, in good time, also several at once;
    - RS 3.7: closing it again is nothing;
    - RS 3.12: closed or stopped, its source stops;
    - RS 3.13: closed, it lets go of what it was given;
    - A8, B13: a chain, and an ordered stage of several workers, keep the order of the items;
    - B15: every branch of a broadcast gets every item, in order;
    - B17: a merge ends when all that it merges has ended;
    - B21: any object is an item; results that are ``None`` are left out;
    - C22: left in the middle, it leaves nothing behind;
    - C24: a cancellation of its consumer comes out as one;
    - C29: runs of one flow share nothing;
    - D34: what failed names its stage, and is the first of ``failures``;
    - D35: it comes out when all else is closed;
    - D36: an error of the block comes out as itself;
    - D44: results that lie ready come before what failed;
    - F58: drained, it gives the results of all that was pulled;
    - G69: ``run()`` gives one value where the graph can make only one;
    - H71: its figures add up.

    Of the Reactive Streams specification, these do not apply: 1.2 is a permission; 1.6 is seen
    as 1.7; 1.10 and 1.11, a run has one consumer; 2.1 to 2.13 bind the consumer, who is an
    ``async for``; 3.1 to 3.4, 3.9 to 3.11 and 3.14 to 3.17 speak of ``request(n)``, where a run
    is asked for one result at a time; 3.6 is seen as 1.8.

    Args:
        engine: The engine; it is used in several loops, one after the other.
        settle: Seconds that what must not happen is given to happen.
        deadline: Seconds after which a run is taken to hang.

    Returns:
        The rules that were tried; all of them hold.

    Raises:
        BrokenRuleError: It breaks some, each told with its number and what was seen.

    Example:
        >>> from asyncdataflow.local import LocalEngine
        >>> from asyncdataflow.testing import check_engine
        >>> len(check_engine(LocalEngine(), settle=0.01))
        26
    """
    trial = Trial(engine, settle, deadline)
    return judge("the engine", ((rule, functools.partial(trial.run, check)) for rule, check in _RULES))
