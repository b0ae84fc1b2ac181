"""The local engine: a run's workers are tasks, threads and processes of this machine."""

from __future__ import annotations

from typing import Any

from ._runtime.run import Run
from .engine import Engine, Plan
from .following import Following

__all__ = ("LocalEngine",)


class LocalEngine(Engine):
    """What runs a flow where ``engine=`` says nothing else.

    Example:
        >>> import asyncio
        >>> from asyncdataflow import DataFlow
        >>> from asyncdataflow.local import LocalEngine
        >>> asyncio.run(DataFlow((range(3), str)).run(engine=LocalEngine()))
        ['0', '1', '2']
    """

    def begin(self, plan: Plan) -> Run[Any]:
        """A run on the loop in which it is entered, or first asked for a result."""
        return Run(
            plan.name,
            plan.graph,
            plan.params,
            plan.resources,
            plan.items,
            plan.buffer,
            fused=plan.fuse,
            following=Following(plan.name, plan.instruments) if plan.instruments else None,
        )
