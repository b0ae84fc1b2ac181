"""The published async-data-flow 0.0.1 on this runtime: one import line changes.

``from asyncdataflow import DataFlow, amapper, fdispatch`` becomes
``from asyncdataflow.compat import DataFlow, amapper, fdispatch``, and
``asyncdataflow.exceptions`` becomes ``asyncdataflow.compat.exceptions``; every
exception can be had from ``asyncdataflow.compat`` too. For what is new, use
``asyncdataflow.DataFlow``: there items flow, here one dict of arguments does.

Kept as it is, surprising or not:

* A function whose arguments are not all there is passed over, defaults or not. So is one
  without parameters, a bound method, a callable object, and what ``amapper`` returns: their
  parameters are read with ``self``, and without following ``__wrapped__``.
* A falsy result is an empty dict. In a group a truthy one that is not a dict fails in
  ``dict.update`` or for its missing ``keys()``, and a list of pairs may pass as a dict.
* The returned dict is not copied: what ``args_visibility`` adds is added to it in place.
* A tuple nested in a group runs at its place, before what stands behind it begins, and what
  it returns are the arguments of what stands behind it. It is no part of the group's result
  where a function of the group ran.
* Of several failures in a group the first in order is raised, not the first in time.
* A key that is not registered with ``fdispatch`` ends in ``IndexError``: the message of
  ``DispatchError`` asks for two arguments and is given one.
* An unknown ``args_visibility`` means ``'None'``.

Deliberately not kept:

* The results of a group are not printed to stdout.
* What still runs when a call ends, because a function beside it failed, is cancelled and
  awaited, not left behind unwatched. A function in a thread runs to its end, as before, but
  the call waits for it, at most as long as any run does.
* Two calls at once with ``args_visibility='Initial'`` do not see each other's arguments.
* Arguments may be called ``self`` and ``dataflow``.
* A plain function that raises ``StopIteration`` is a ``RuntimeError``, not a hang.
* Plain functions run in threads of their own, never in the loop's default executor, and
  coroutine functions in tasks of their own: a context variable that one sets is not
  seen by the next, nor by the caller. Each call is a run, which costs more than a bare ``await``.
* An exception has a note that names the function.
* What nests deeper than this runtime's notation goes (100 levels) is its ``DefinitionError``.
* The attributes ``executor`` and ``inspector``; ``dataflow`` may be read, not exchanged.
"""

from .dataflow import DataFlow
from .dispatch import fdispatch
from .exceptions import (
    ArgsMapperArgsError,
    ArgsMapperError,
    ArgsMapperInputKeyError,
    ArgsMapperOutputKeyError,
    DataFlowDefinitionError,
    DataFlowEmptyError,
    DataFlowError,
    DataFlowException,
    DataFlowFunctionArgsError,
    DataFlowFunctionResultError,
    DataFlowMergeResultError,
    DataFlowNotCallableError,
    DataFlowNotTupleError,
    DataFlowRunItemError,
    DispatchError,
)
from .mapper import amapper

__all__ = (
    "ArgsMapperArgsError",
    "ArgsMapperError",
    "ArgsMapperInputKeyError",
    "ArgsMapperOutputKeyError",
    "DataFlow",
    "DataFlowDefinitionError",
    "DataFlowEmptyError",
    "DataFlowError",
    "DataFlowException",
    "DataFlowFunctionArgsError",
    "DataFlowFunctionResultError",
    "DataFlowMergeResultError",
    "DataFlowNotCallableError",
    "DataFlowNotTupleError",
    "DataFlowRunItemError",
    "DispatchError",
    "amapper",
    "fdispatch",
)
