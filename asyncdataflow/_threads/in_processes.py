"""In processes: what each thread of a stage enters whose function is called in worker processes.

Imported when the first such stage is opened: pickle, pipes and processes are nothing to a run without.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any

from .._processes.series import Call
from ..carried import Carried, Unpacking
from ..errors import ArgumentsError
from ..following import Entrusted, Passage, ended
from ..portable import portable
from ..stage import Stage
from .process import Outcome, ProcessTarget
from .workshop import Workshop

__all__ = ("FollowedTarget", "process_setup")


def process_setup(
    stage: Stage[Any, Any], kwargs: Mapping[str, Any], workshop: Workshop, *, many: bool, follows: bool
) -> Callable[[], ProcessTarget]:
    """What makes a thread's target; what its processes need is pickled once, here on the loop.

    Args:
        stage: The stage.
        kwargs: What its function gets by name.
        workshop: Where processes come from.
        many: The function makes an iterator.
        follows: Instruments are told of calls.

    Raises:
        ArgumentsError: Something that the function gets by name cannot be pickled.
    """
    function = portable(stage.fn)
    try:
        payload = pickle.dumps(
            (
                Unpacking(function, many=many) if follows else function,
                kwargs,
                {name: portable(make) for name, make in stage.per_worker.items()},
            ),
            protocol=pickle.HIGHEST_PROTOCOL,
        )
    except Exception as error:
        raise ArgumentsError(
            f"{stage.path} ({stage.title}): a keyword argument or resource cannot be sent to its "
            f"processes ({error}); make it there with per_worker="
        ) from error
    spawn = functools.partial(workshop.spawn, stage, payload)
    sort = FollowedTarget if follows else ProcessTarget
    return lambda: sort(stage.title, spawn, redeliver=stage.redeliver, many=many)


class FollowedTarget(ProcessTarget):
    """As it is; what is followed goes to the process by itself, so that it is known how long it takes."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As of a ``ProcessTarget``."""
        if not self._many or not _is_followed((args, kwargs)):
            return super().__call__(*args, **kwargs)
        passage = args[0].begin(self._name)
        try:
            items = super().__call__(_carried(passage, args[0]), **kwargs)
        except BaseException as error:
            passage.end(error)
            raise
        return ended(passage, items)

    def run_chunk(self, calls: Sequence[Call]) -> Iterator[Outcome]:
        """As of a ``ProcessTarget``."""
        run = super().run_chunk
        for told, part in groupby(calls, _is_followed):
            for some in ([each] for each in part) if told else (list(part),):
                made: Any = self._told(some, run) if told else run(some)
                with closing(made) as outcomes:
                    for outcome in outcomes:
                        yield outcome
                        if not outcome[0]:
                            return
                        del outcome

    def _told(self, calls: Sequence[Call], run: Callable[[Sequence[Call]], Iterator[Outcome]]) -> Any:
        """Of one call."""
        (((given,), kwargs),) = calls
        with given.begin(self._name) as passage:
            for succeeded, value in run([((_carried(passage, given),), kwargs)]):
                passage.end(None if succeeded else value)
                yield succeeded, value


def _is_followed(call: Call) -> bool:
    args, _ = call
    return len(args) == 1 and type(args[0]) is Entrusted


def _carried(passage: Passage, given: Entrusted) -> Carried:
    return Carried(passage.carried(pickle.dumps), given.args, given.kwargs)
