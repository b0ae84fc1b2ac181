"""Stage: one node of a definition, as the user writes it and as the graph holds it.

``stage(f, …)`` says what a bare function cannot, and ``|`` joins stages to
sequences. Everything here is frozen data: nothing opens, starts or runs.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from collections.abc import AsyncIterator as AsyncIterator_
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import IO, Any, Generic, Literal, NamedTuple, Protocol, TypeVar, Unpack, overload

from .built_in import Operator
from .naming import callable_name
from .options import Executor, StageOptions, settle
from .policy import Buffer, DurableBuffer, OnError, Overflow, Rate, Restart, Retry

__all__ = (
    "Arguments",
    "Call",
    "Composable",
    "Embedded",
    "Kind",
    "Parameter",
    "Role",
    "Stage",
    "Steps",
    "stage",
)

In = TypeVar("In")
Out = TypeVar("Out")
In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)
Next = TypeVar("Next")
File = TypeVar("File", bound=IO[Any])

Role = Literal["source", "transform", "sink"]
Kind = Literal[
    "coroutine",  # async def
    "function",  # a plain callable; an awaitable it returns is awaited
    "async_generator",
    "generator",
    "async_iterable",
    "iterable",
    "source",  # abc.Source
    "ackable_source",  # abc.AckableSource
    "sink",  # abc.Sink
    "transactional_sink",  # abc.TransactionalSink
    "operator",  # the operator does all the work, there is no callable
    "feed",  # the items= of a run
]
Arguments = Literal[
    "params",  # a source: each parameter by name
    "item",  # the item as the one positional argument
    "spread",  # the item taken apart over several required parameters
]


class Parameter(NamedTuple):
    """One parameter of a callable, as far as calling it goes."""

    name: str
    required: bool
    kind: Literal["positional_only", "positional", "keyword_only"]


@dataclass(frozen=True, repr=False)
class Call:
    """How a stage's callable is called: decided once, from its signature.

    Attributes:
        kind: What sort of callable it is.
        many: It makes any number of items from each (a generator).
        arguments: Where its positional arguments come from.
        parameters: Its parameters, without ``*args`` and ``**kwargs`` and without what
            a partial has bound.
        known: A signature could be had. Without one a source is called with nothing
            and a stage with the item.
        open_ended: It takes ``*args``.
    """

    kind: Kind
    many: bool = False
    arguments: Arguments = "item"
    parameters: tuple[Parameter, ...] = ()
    known: bool = True
    open_ended: bool = False

    @functools.cached_property
    def run_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that are looked up by name in params, then in resources."""
        if self.arguments == "params":
            return self.parameters
        return tuple(each for each in self.parameters if each.kind == "keyword_only")

    @property
    def spread_over(self) -> tuple[Parameter, ...]:
        """The positional parameters that an item is spread over."""
        return tuple(each for each in self.parameters if each.kind != "keyword_only")


class _Function(Protocol):
    """A plain function, which has no ``|`` of its own; a stage has no ``__code__``."""

    __code__: CodeType

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any: ...


class _Connector(Protocol):
    """A ``Source``, known by its one method, because ``abc`` lies a floor above."""

    def open(self) -> Any: ...


_Plain = Iterable[Any] | AsyncIterable[Any] | _Function | _Connector


class Composable(Generic[In_contra, Out_co]):
    """What ``|`` joins to sequences: stages, sequences of them and whole dataflows."""

    @overload
    def __or__(self, following: Composable[Out_co, Next]) -> Steps[In_contra, Next]: ...
    @overload
    def __or__(
        self, following: tuple[Any, ...] | list[Any] | set[Any] | dict[str, Any]
    ) -> Steps[In_contra, Any]: ...
    @overload
    def __or__(self, following: Callable[[Out_co], AsyncIterator_[Next]]) -> Steps[In_contra, Next]: ...
    @overload
    def __or__(self, following: Callable[[Out_co], Awaitable[Next]]) -> Steps[In_contra, Next]: ...
    @overload
    def __or__(self, following: Callable[[Out_co], File]) -> Steps[In_contra, File]: ...
    @overload
    def __or__(self, following: Callable[[Out_co], Iterator[Next]]) -> Steps[In_contra, Next]: ...
    @overload
    def __or__(self, following: Callable[[Out_co], Next]) -> Steps[In_contra, Next]: ...
    def __or__(self, following: Any) -> Steps[In_contra, Any]:
        """``self | following``: a sequence; a tuple, set or dict beside ``|`` is a group."""
        return Steps((*_steps_of(self), *_steps_of(following)))

    def __ror__(self, preceding: _Plain) -> Steps[Any, Out_co]:
        """``preceding | self``, where what stands on the left knows nothing of stages.

        Typed for just that: a stage on the left that ``__or__`` refuses must not pass here.
        """
        return Steps((*_steps_of(preceding), *_steps_of(self)))


@dataclass(frozen=True, eq=False)
class Steps(Composable[In_contra, Out_co]):
    """A sequence written with ``|``; a definition like any tuple."""

    steps: tuple[Any, ...]

    def __repr__(self) -> str:
        """The sequence as it was written."""
        return " | ".join(repr(each) for each in self.steps)


class Embedded(Composable[In_contra, Out_co]):
    """A whole dataflow as a step: its definition is spliced in, with its resources.

    ``DataFlow`` is the one subclass; this base lets the notation, which lies floors
    below it, know one when it meets it.
    """

    definition: Any
    names: Any
    resources: Mapping[str, Any]


def _steps_of(thing: Any) -> tuple[Any, ...]:
    return thing.steps if type(thing) is Steps else (thing,)


@dataclass(frozen=True, repr=False)
class Stage(Composable[In, Out]):
    """A node: a callable or connector with its name, concurrency and policies.

    Made by :func:`stage` and by the operators; a bare callable in a definition
    becomes one with every option at its default. ``name`` stays ``None`` until the
    definition is compiled, when ``role``, ``path`` and ``call`` are filled in too.
    ``label`` is what an operator's stage is named after, where it has no name of its own.
    """

    fn: Any
    name: str | None = None
    concurrency: int = 1
    ordered: bool = True
    key: Callable[[Any], Any] | None = None
    executor: Executor = "auto"
    many: bool | None = None
    per_worker: Mapping[str, Any] = field(default_factory=dict)
    buffer: Buffer = field(default_factory=Buffer)
    durable: DurableBuffer | None = None
    overflow: Overflow = Overflow.BLOCK
    retry: Retry | None = None
    timeout: float | None = None
    on_error: OnError = "fail"
    rate: Rate | None = None
    redeliver: bool = True
    restart: Restart | None = None
    operator: Operator | None = None
    role: Role | None = None
    call: Call | None = None
    label: str | None = None
    path: str = field(default="", compare=False)

    def __hash__(self) -> int:
        """Of what is always hashable, so that a stage may stand in a set."""
        return hash((self.name, self.concurrency, self.executor))

    @overload
    def __call__(self, item: In, /, *args: Any, **kwargs: Any) -> Any: ...
    @overload
    def __call__(self, /, **kwargs: Any) -> Any: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as if it had never been made a stage."""
        return self.fn(*args, **kwargs)

    def __get__(self, owner: Any, kind: type | None = None) -> Stage[In, Out]:
        """Of a decorated method, looked up on an object: the stage of the bound method."""
        if owner is None or not isinstance(self.fn, FunctionType):
            return self
        return dataclasses.replace(self, fn=self.fn.__get__(owner, kind))

    def __repr__(self) -> str:
        """The stage by its name."""
        return f"<Stage {self.title}>"

    def __reduce__(self) -> Any:
        """By the name of the decorated function where that name means this stage.

        ``@stage`` puts a stage under the function's name, so that the function itself
        can no longer be pickled by it; the stage can.
        """
        module, qualname = getattr(self.fn, "__module__", None), getattr(self.fn, "__qualname__", "")
        if module is not None and _is_found_at(self, module, qualname):
            return (_find, (module, qualname))
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return (functools.partial(Stage, **values), ())

    @property
    def title(self) -> str:
        """The stage's name, or what it would be named after."""
        if self.name is not None:
            return self.name
        if self.label is not None:
            return self.label
        if self.fn is None and self.operator is not None:
            return callable_name(self.operator)
        return callable_name(self.fn)


class _Decorator(Protocol):
    """What ``stage(…)`` without a callable returns."""

    @overload
    def __call__(self, f: Callable[[In], AsyncIterator_[Out]], /) -> Stage[In, Out]: ...
    @overload
    def __call__(self, f: Callable[[In], Awaitable[Out]], /) -> Stage[In, Out]: ...
    @overload
    def __call__(self, f: Callable[[In], Iterator[Out]], /) -> Stage[In, Out]: ...
    @overload
    def __call__(self, f: Callable[[In], Out], /) -> Stage[In, Out]: ...
    @overload
    def __call__(self, f: Callable[..., Any], /) -> Stage[Any, Any]: ...


# The first that fits counts. An ``Iterator`` is what most generator functions are annotated
# with; an open file is one too, but goes on whole.
@overload
def stage(f: Stage[In, Out], **options: Unpack[StageOptions]) -> Stage[In, Out]: ...
@overload
def stage(f: Callable[[In], AsyncIterator_[Out]], **options: Unpack[StageOptions]) -> Stage[In, Out]: ...
@overload
def stage(f: Callable[[In], Awaitable[Out]], **options: Unpack[StageOptions]) -> Stage[In, Out]: ...
@overload
def stage(f: Callable[[In], File], **options: Unpack[StageOptions]) -> Stage[In, File]: ...
@overload
def stage(f: Callable[[In], Iterator[Out]], **options: Unpack[StageOptions]) -> Stage[In, Out]: ...
@overload
def stage(f: Callable[[In], Out], **options: Unpack[StageOptions]) -> Stage[In, Out]: ...
@overload
def stage(f: Callable[..., AsyncIterator_[Out]], **options: Unpack[StageOptions]) -> Stage[Any, Out]: ...
@overload
def stage(f: Callable[..., Awaitable[Out]], **options: Unpack[StageOptions]) -> Stage[Any, Out]: ...
@overload
def stage(f: Callable[..., Iterator[Out]], **options: Unpack[StageOptions]) -> Stage[Any, Out]: ...
@overload
def stage(f: Callable[..., Out], **options: Unpack[StageOptions]) -> Stage[Any, Out]: ...
@overload
def stage(f: None = None, **options: Unpack[StageOptions]) -> _Decorator: ...
@overload
def stage(f: object, **options: Unpack[StageOptions]) -> Stage[Any, Any]: ...
def stage(f: Any = None, **options: Unpack[StageOptions]) -> Any:
    """Make a stage of a callable and say what the bare callable cannot.

    Args:
        f: The callable, iterable, ``Source`` or ``Sink``; another stage, to change its
            options; left out where ``stage(…)`` is used as a decorator with options.
        **options: As follows.

            * ``name``: Its name in errors, statistics and pictures; unique in the graph.
            * ``concurrency``: Items worked on at once, default 1.
            * ``ordered``: Results leave in the order the items came, default true.
            * ``key``: A function from an item to its key; order is then kept per key only,
              and different keys run side by side.
            * ``executor``: ``"auto"`` (a coroutine function on the loop, a plain one in
              threads), ``"loop"``, ``"inline"`` (a plain function called on the loop),
              ``"thread"`` or ``"process"``.
            * ``many``: The callable returns an iterator or generator whose items are to be
              sent one by one.
            * ``per_worker``: ``{"model": load}``: made once in each worker, in its own thread
              or process, and passed by keyword.
            * ``buffer``: Items that the edge into the stage holds, or a ``Buffer``; default 128. Or
              a ``Durable``, in which they survive the process.
            * ``overflow``: What that edge does when full: ``"block"``, ``"drop_oldest"``,
              ``"drop_newest"`` or ``"fail"``.
            * ``retry``: ``Retry(…)``, or a number of attempts.
            * ``timeout``: Seconds that one attempt may take.
            * ``on_error``: ``"fail"``, ``"skip"`` or ``dead_letter(sink)``.
            * ``rate``: Items begun per second, or ``Rate(…)``.
            * ``redeliver``: Send an item again whose worker process died, default true.
            * ``restart``: Of a source: ``Restart(…)`` opens it anew when it fails. One that is not
              answered gives its items from its beginning then.

    Returns:
        A :class:`Stage`, which can still be called as the function itself; without
        ``f``, a decorator that makes one.

    Raises:
        TypeError: An option is not known.
        ValueError: An option's value can be known to be wrong; what only shows beside the
            callable's signature is refused by ``DataFlow(…)`` with the element's place.

    Example:
        >>> from asyncdataflow import DataFlow, stage
        >>> @stage(concurrency=4, retry=3)
        ... def fetch(number: int) -> int:
        ...     return number * 2
        >>> fetch(21)
        42
        >>> DataFlow((range(3), fetch))()
        [0, 2, 4]
    """
    settled = settle(options)
    if f is None:
        return lambda function: stage(function, **options)
    if isinstance(f, Stage):
        return dataclasses.replace(f, **settled)
    return _as_function(Stage(f, **settled))


def _as_function(made: Stage[Any, Any]) -> Stage[Any, Any]:
    """Carry the function's name and docstring, so that a decorated one documents itself."""
    for attribute in ("__doc__", "__name__", "__qualname__", "__module__"):
        value = getattr(made.fn, attribute, None)
        if isinstance(value, str):
            object.__setattr__(made, attribute, value)
    return made


def _is_found_at(made: Stage[Any, Any], module: str, qualname: str) -> bool:
    try:
        return _find(module, qualname) is made
    except (KeyError, AttributeError):
        return False


def _find(module: str, qualname: str) -> Any:
    """The object of that name; the module is imported by pickle's own rules."""
    import importlib  # noqa: PLC0415

    return functools.reduce(getattr, qualname.split("."), importlib.import_module(module))
