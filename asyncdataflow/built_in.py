"""What a stage and the graph know of a built-in step; ``operators/`` has what it does."""

from __future__ import annotations

__all__ = ("Operator",)


class Operator:
    """What a built-in step does that no callable of one item can; see ``operators/``.

    Attributes:
        fans_in: It takes the branches of the group before it apart by place.
        fans_out: It chooses among the branches of the group behind it.
        one_to_one: It makes exactly one item from each, in order.
        needs_function: It calls ``Stage.fn``.
    """

    fans_in: bool = False
    fans_out: bool = False
    one_to_one: bool = False
    needs_function: bool = False

    def __eq__(self, other: object) -> bool:
        """Of one kind and with the same settings, as the stages are that they stand in."""
        return type(self) is type(other) and vars(self) == vars(other)

    def __repr__(self) -> str:
        """Its kind and its settings."""
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"

    def __hash__(self) -> int:
        """Of its kind: a setting need not be hashable."""
        return hash(type(self))
