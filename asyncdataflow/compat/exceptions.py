"""The exceptions of async-data-flow 0.0.1: its names, bases, messages and attributes.

They are a tree of their own, apart from :mod:`asyncdataflow.errors`, so that what
caught them goes on catching them and nothing else::

    DataFlowException
    ├── DataFlowError
    │   ├── DataFlowRunItemError
    │   │   ├── DataFlowMergeResultError      two dicts differ in a key that both have
    │   │   └── DataFlowFunctionResultError   a function returned something that is no dict
    │   └── DataFlowDefinitionError
    │       ├── DataFlowFunctionArgsError     a parameter that cannot be given by keyword and by place
    │       ├── DataFlowNotCallableError
    │       ├── DataFlowNotTupleError
    │       └── DataFlowEmptyError
    ├── ArgsMapperError
    │   ├── ArgsMapperInputKeyError           ``input=`` names an argument that was not given
    │   ├── ArgsMapperOutputKeyError          ``output=`` names a key that was not returned
    │   └── ArgsMapperArgsError               the call of the function raised ``TypeError``
    └── DispatchError

The messages are those of 0.0.1 to the letter: users may compare them.
"""

from __future__ import annotations

from typing import Any

__all__ = (
    "ArgsMapperArgsError",
    "ArgsMapperError",
    "ArgsMapperInputKeyError",
    "ArgsMapperOutputKeyError",
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
)


class DataFlowException(Exception):  # noqa: N818 - the published name
    """Base of all of them.

    Args:
        *args: What the message speaks of.
        error_string: The message, with a place for each of ``args``.

    Attributes:
        message: The message, filled in.
    """

    def __init__(self, *args: Any, error_string: str) -> None:
        self.message = error_string.format(*args)
        super().__init__(self.message)


class DataFlowError(DataFlowException):
    """A definition is wrong, or a run of it failed."""


class DataFlowRunItemError(DataFlowError):
    """A run failed for what a function returned."""


class DataFlowMergeResultError(DataFlowRunItemError):
    """Two dicts have different values for the same key."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, error_string="Conflict with merge {0} to {1}.")


class DataFlowFunctionResultError(DataFlowRunItemError):
    """A function of a sequence returned something that is neither a dict nor falsy."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, error_string="Function {0} must return dictionary")


class DataFlowDefinitionError(DataFlowError):
    """A definition is refused by the constructor."""


class DataFlowFunctionArgsError(DataFlowDefinitionError):
    """A function has a parameter that cannot be given both by place and by name."""

    def __init__(self, *args: Any) -> None:
        super().__init__(
            *args, error_string="Argument {1} in function {0} must be POSITIONAL_OR_KEYWORD argument."
        )


class DataFlowNotCallableError(DataFlowDefinitionError):
    """An element of a definition is neither a tuple nor a callable."""

    def __init__(self, *args: Any) -> None:
        super().__init__(
            *args, error_string="{0} is not a callable object. DataFlow can contain only callable objects."
        )


class DataFlowNotTupleError(DataFlowDefinitionError):
    """A definition, or an iterable in it, is not a tuple."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, error_string="{0} is not a tuple. DataFlow must be defined as tuple")


class DataFlowEmptyError(DataFlowDefinitionError):
    """A definition, or a tuple in it, is empty."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, error_string="DataFlow or sub DataFlow cannot be empty.")


class ArgsMapperError(DataFlowException):
    """What ``amapper`` raises."""


class ArgsMapperInputKeyError(ArgsMapperError):
    """``input=`` names an argument that was not given."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, error_string="Key {2} is not passed as arguments {1} to {0}.")


class ArgsMapperOutputKeyError(ArgsMapperError):
    """``output=`` names a key that the function did not return."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, error_string="Key {2} is not in returned dictionary {1} from {0}.")


class ArgsMapperArgsError(ArgsMapperError):
    """The function raised ``TypeError``: mostly for arguments that it does not have."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, error_string="Wrong arguments {1} passed to {0}.")


class DispatchError(DataFlowException):
    """No function is registered for a key; ``fdispatch`` says why it is never seen."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, error_string="Dispatched function {1} not exists")
