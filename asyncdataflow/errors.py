"""Everything that asyncdataflow raises of its own.

An exception that user code raises reaches the consumer as itself; the classes
here are for what the library finds wrong. Each also subclasses the builtin that
fits, so ``except ValueError`` catches what a reader would expect it to::

    DataFlowError
    ├── DefinitionError (ValueError)        refused in the constructor
    │   ├── SignatureError (TypeError)      a callable cannot be called as its place demands
    │   ├── DeliveryError                   it cannot keep what is promised of its items
    │   └── NeedsItemsError                 the first step can only be fed by a run's ``items=``
    ├── ParameterError (TypeError)          a run parameter is missing, or used by nobody
    ├── ItemError                           one item failed in the library's own hands
    │   ├── ArgumentsError (TypeError)      an item cannot be spread over the parameters
    │   ├── ResultError (TypeError)         a stage returned what its place cannot take
    │   ├── UnknownBranchError (LookupError) route named a branch that is not there
    │   ├── StageTimeoutError (TimeoutError) an item took longer than ``timeout=``
    │   ├── StageCancelledError (RuntimeError) a stage cancelled itself
    │   ├── WorkerLostError (ChildProcessError) an item's worker process died
    │   ├── RemoteError (RuntimeError)      an error in a worker process that cannot be rebuilt here
    │   ├── BadMessageError (ValueError)    what a source read is not what its items are encoded as
    │   └── RejectedItemError (ValueError)  a destination has no form, or no place, for the item
    ├── ConnectorError                      an outside system, or what it holds, is not as it has to be
    │   ├── MissingExtraError (ImportError) the client library is not installed
    │   ├── ConnectorSetupError (RuntimeError) the system is not set up as the connector needs it
    │   ├── ConnectionLostError (ConnectionError) it cannot be reached, or not any more
    │   │   └── UncertainWriteError         what was written may be there or not
    │   ├── DestinationFullError (OverflowError) it takes nothing more, and was waited for long enough
    │   ├── StorageError (OSError)          a file or database cannot be read or written
    │   │   ├── StorageFullError            no room is left for what is to be written
    │   │   ├── StorageBusyError (TimeoutError) another holds it for too long
    │   │   └── CorruptStorageError         what lies there is not what was written
    │   ├── SourceChangedError (RuntimeError) what a source was read up to is not there any more
    │   ├── FencedError (RuntimeError)      another run has gone on from where this one stands
    │   └── RedeliveryError (RuntimeError)  an item was given as often as it may be, and failed each time
    ├── UnevenZipError (ValueError)         a zipped branch ended before another
    ├── BufferFullError (OverflowError)     ``overflow="fail"`` met a full edge
    ├── ShutdownTimeoutError (TimeoutError) work was left behind at a deadline
    ├── UnsettledError (RuntimeError)       why a message is nacked of which nothing failed
    ├── RunEndedError (RuntimeError)        a ``call`` whose run ended before it was done
    ├── BusyRunError (RuntimeError)         a second ``__anext__`` while one waits
    ├── ChannelError
    │   ├── EndOfChannel                    every sender has closed and nothing lies there
    │   ├── ChannelClosed                   every receiver has closed: nobody wants the item
    │   └── WouldBlock                      a ``*_nowait`` operation would have to wait
    └── SimulationError                     found by ``asyncdataflow.testing``
        ├── DeadlockError (RuntimeError)    nothing can ever run again
        ├── LivelockError (RuntimeError)    it runs and runs, and comes to no end
        ├── BrokenRuleError (AssertionError) what has to hold did not: an item lost, a task left
        └── InjectedFault (RuntimeError)    a fault that a simulation put into a stage
"""

from __future__ import annotations

__all__ = (
    "ArgumentsError",
    "BadMessageError",
    "BrokenRuleError",
    "BufferFullError",
    "BusyRunError",
    "ChannelClosed",
    "ChannelError",
    "ConnectionLostError",
    "ConnectorError",
    "ConnectorSetupError",
    "CorruptStorageError",
    "DataFlowError",
    "DeadlockError",
    "DefinitionError",
    "DeliveryError",
    "DestinationFullError",
    "EndOfChannel",
    "FencedError",
    "InjectedFault",
    "ItemError",
    "LivelockError",
    "MissingExtraError",
    "NeedsItemsError",
    "ParameterError",
    "RedeliveryError",
    "RejectedItemError",
    "RemoteError",
    "ResultError",
    "RunEndedError",
    "ShutdownTimeoutError",
    "SignatureError",
    "SimulationError",
    "SourceChangedError",
    "StageCancelledError",
    "StageTimeoutError",
    "StorageBusyError",
    "StorageError",
    "StorageFullError",
    "UncertainWriteError",
    "UnevenZipError",
    "UnknownBranchError",
    "UnsettledError",
    "WorkerLostError",
    "WouldBlock",
)


class DataFlowError(Exception):
    """Base of every exception that the library raises of its own."""


class DefinitionError(DataFlowError, ValueError):
    """The definition can be known to be wrong before anything runs.

    The message starts with the element's place, ``definition[1][0] (parse): …``,
    and ends with what to write instead.
    """


class SignatureError(DefinitionError, TypeError):
    """A callable cannot be called as its place in the definition demands."""


class DeliveryError(DefinitionError):
    """The definition cannot keep what is promised of its items, by ``delivery=`` or by default."""


class NeedsItemsError(DefinitionError):
    """The first step takes items and cannot make any, so that a run has to be given ``items=``.

    Raised in the constructor only where the definition is wrong for that too.
    """


class ParameterError(DataFlowError, TypeError):
    """A run parameter is missing, or was given and is used by nobody.

    Raised by ``run``, ``stream`` and ``iterate`` before anything starts.
    """


class ItemError(DataFlowError):
    """One item failed in the library's own hands; subject to ``on_error=``."""


class ArgumentsError(ItemError, TypeError):
    """An item cannot be spread over a stage's several required parameters."""


class ResultError(ItemError, TypeError):
    """A stage returned what its place cannot take."""


class UnknownBranchError(ItemError, LookupError):
    """``route`` or ``split`` named a branch that its group does not have."""


class StageTimeoutError(ItemError, TimeoutError):
    """An item took longer than its stage's ``timeout=``."""


class StageCancelledError(ItemError, RuntimeError):
    """A stage raised ``CancelledError`` although nobody had cancelled it.

    Passed on as it is, it would look to the consumer as if the consumer itself
    had been cancelled.
    """


class WorkerLostError(ItemError, ChildProcessError):
    """The worker process that held an item died, and the item may not be sent again."""


class RemoteError(ItemError, RuntimeError):
    """An exception in a worker process that cannot be rebuilt in this process.

    Its type's name, its text and its traceback are in the message.
    """


class BadMessageError(ItemError, ValueError):
    """What a source read is not what its items are encoded as: torn, too long, or of another kind.

    The message says where it lies, never what is in it.
    """


class RejectedItemError(ItemError, ValueError):
    """A destination has no form, or no place, for an item; nothing of the list with it was written."""


class ConnectorError(DataFlowError):
    """Base of what is wrong with an outside system, or with what it holds."""


class MissingExtraError(ConnectorError, ImportError):
    """The client library that a connector needs is not installed; the message says what to install."""


class ConnectorSetupError(ConnectorError, RuntimeError):
    """The outside system is not set up as the connector needs it: a table or a right is not there."""


class ConnectionLostError(ConnectorError, ConnectionError):
    """The outside system cannot be reached, or not any more; what was being written is not there."""


class UncertainWriteError(ConnectionLostError):
    """The connection was lost while a write was confirmed: it may be there or not.

    Written again, it is there twice where the destination's effect is ``"plain"``.
    """


class DestinationFullError(ConnectorError, OverflowError):
    """The destination takes nothing more, and was waited for as long as it was said to."""


class StorageError(ConnectorError, OSError):
    """A file or a database cannot be read or written."""


class StorageFullError(StorageError):
    """No room is left for what is to be written; nothing of it was."""


class StorageBusyError(StorageError, TimeoutError):
    """Another connection or process holds the file or database, for longer than is waited."""


class CorruptStorageError(StorageError):
    """What lies there is not what was written: torn, overwritten, or no such file at all.

    Nothing is skipped: where something may be missing, nothing is read on.
    """


class SourceChangedError(ConnectorError, RuntimeError):
    """What a source was read up to is not there any more: it was cut off, or replaced."""


class FencedError(ConnectorError, RuntimeError):
    """Another run has gone on from where this one stands; nothing was written, or it would be there twice."""


class RedeliveryError(ConnectorError, RuntimeError):
    """An item was given as often as it may be, and failed each time; its last failure is the cause."""


class UnevenZipError(DataFlowError, ValueError):
    """A zipped branch ended while another still had an item."""


class BufferFullError(DataFlowError, OverflowError):
    """An item met a full edge whose ``overflow`` is ``"fail"``."""


class ShutdownTimeoutError(DataFlowError, TimeoutError):
    """Work was left behind when a deadline of ``drain`` or ``stop`` passed.

    The message counts and names what was left.
    """


class UnsettledError(DataFlowError, RuntimeError):
    """Of an answer: nobody can tell what became of the message, or nothing was done with it."""


class RunEndedError(DataFlowError, RuntimeError):
    """Of a ``call``: its run has ended, or ended before the item was done.

    What the run failed with, if it failed, is the cause.
    """


class BusyRunError(DataFlowError, RuntimeError):
    """``__anext__`` was called while another ``__anext__`` of the same run waits."""


class ChannelError(DataFlowError):
    """Base of how an operation on a channel can end without an item moving."""


class EndOfChannel(ChannelError):  # noqa: N818 - an ending, not an error, as in trio
    """Every sender has closed and everything sent has been received."""


class ChannelClosed(ChannelError):  # noqa: N818 - an ending, not an error
    """Every receiver has closed, so nobody is left to want the item."""


class WouldBlock(ChannelError):  # noqa: N818 - as in trio
    """The operation would have to wait."""


class SimulationError(DataFlowError):
    """A simulation found something."""


class DeadlockError(SimulationError, RuntimeError):
    """Nothing is ready and no timer is set: whatever waits, waits for good."""


class LivelockError(SimulationError, RuntimeError):
    """It runs and runs, and comes to no end."""


class BrokenRuleError(SimulationError, AssertionError):
    """What has to hold of every run did not."""


class InjectedFault(SimulationError, RuntimeError):  # noqa: N818 - no error of the flow's: put there on purpose
    """A fault that a simulation put into a stage."""
