"""The options of ``stage(…)``: their types, their checks and their short forms."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict, cast

from .naming import nearest
from .policy import Buffer, DeadLetterPolicy, DurableBuffer, OnError, Overflow, Rate, Restart, Retry

__all__ = ("Executor", "StageOptions", "settle")

Executor = Literal["auto", "loop", "inline", "thread", "process"]


class StageOptions(TypedDict, total=False):
    """What ``stage(…)`` and the operators take by keyword; described at ``stage``."""

    name: str | None
    concurrency: int
    ordered: bool
    key: Callable[[Any], Any] | None
    executor: Executor
    many: bool | None
    per_worker: Mapping[str, Callable[..., Any]]
    buffer: int | Buffer | DurableBuffer
    overflow: Literal["block", "drop_oldest", "drop_newest", "fail"] | Overflow
    retry: int | Retry | None
    timeout: float | None
    on_error: OnError
    rate: float | Rate | None
    redeliver: bool
    restart: Restart | None


def settle(options: Mapping[str, Any]) -> dict[str, Any]:
    """Check option values and turn their short forms into policies."""
    for option in options:
        if option not in _CONVERT:
            raise TypeError(f"stage({option}=): no such option{nearest(option, _CONVERT)}")
    settled = dict(options)
    for option, convert in _CONVERT.items():
        if option in settled:
            settled[option] = convert(settled[option])
    if isinstance(options.get("buffer"), DurableBuffer):
        settled["durable"] = settled["buffer"]
        del settled["buffer"]
    return settled


def _name(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError("stage(name=): a word is needed")
    return value


def _concurrency(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"stage(concurrency=): a whole number of at least 1 is needed, not {value!r}")
    return value


def _key(value: Any) -> Any:
    if value is not None and not callable(value):
        raise ValueError("stage(key=): a function from an item to its key is needed")
    if inspect.iscoroutinefunction(value):
        raise ValueError("stage(key=): it is called and not awaited, so it may not be an async def function")
    return value


def _executor(value: Any) -> Any:
    known = ("auto", "loop", "inline", "thread", "process")
    if value not in known:
        raise ValueError(
            f"stage(executor=): {value!r} is none of {', '.join(known)}{nearest(str(value), known)}"
        )
    return value


def _per_worker(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and callable(v) for k, v in value.items()
    ):
        raise ValueError(
            'stage(per_worker=): a mapping from names to callables is needed, as {"model": load}'
        )
    return dict(value)


def _buffer(value: Any) -> Buffer | DurableBuffer:
    return value if isinstance(value, Buffer | DurableBuffer) else Buffer(value)


def _overflow(value: Any) -> Overflow:
    if isinstance(value, Overflow):
        return value
    known = [each.value for each in Overflow]
    if value not in known:
        raise ValueError(
            f"stage(overflow=): {value!r} is none of {', '.join(known)}{nearest(str(value), known)}"
        )
    return Overflow(value)


def _retry(value: Any) -> Retry | None:
    return value if value is None or isinstance(value, Retry) else Retry(attempts=value)


def _timeout(value: Any) -> float | None:
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or not value > 0):
        raise ValueError(f"stage(timeout=): more than 0 seconds is needed, not {value!r}")
    return cast("float | None", value)


def _on_error(value: Any) -> OnError:
    if value in ("fail", "skip") or isinstance(value, DeadLetterPolicy):
        return cast("OnError", value)
    raise ValueError(f'stage(on_error=): "fail", "skip" or dead_letter(sink) is needed, not {value!r}')


def _rate(value: Any) -> Rate | None:
    return value if value is None or isinstance(value, Rate) else Rate(value)


def _restart(value: Any) -> Restart | None:
    if value is not None and not isinstance(value, Restart):
        raise ValueError(f"stage(restart=): Restart(…) is needed, not {value!r}")
    return value


def _boolean(option: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"stage({option}=): True or False is needed, not {value!r}")
        return value

    return check


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "concurrency": _concurrency,
    "ordered": _boolean("ordered"),
    "key": _key,
    "executor": _executor,
    "many": lambda value: value if value is None else _boolean("many")(value),
    "per_worker": _per_worker,
    "buffer": _buffer,
    "overflow": _overflow,
    "retry": _retry,
    "timeout": _timeout,
    "on_error": _on_error,
    "rate": _rate,
    "redeliver": _boolean("redeliver"),
    "restart": _restart,
}
