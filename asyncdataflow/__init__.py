"""asyncdataflow: streaming dataflows of plain callables, with backpressure end to end.

A map of the floors; imports go down only::

    testing/  compat/     simulation and conformance kits; another front door
    dataflow  iterate     DataFlow: the ways to run; a run for synchronous code
    _runtime/             a graph becomes channels and workers
    _threads/ _processes/ what runs beside the loop
    notation … operators/ definition to graph, pure: notation, signature, validate, draw
    stage  graph  engine  frozen data, and what an engine has to give
    abc                   what connectors implement
    message policy stats  frozen values
    errors naming         what goes wrong, and how things are called
"""

from __future__ import annotations

from ._runtime.run import Run as Run
from .abc import AckableSource as AckableSource
from .abc import Sink as Sink
from .abc import Source as Source
from .abc import TransactionalSink as TransactionalSink
from .dataflow import DataFlow as DataFlow
from .errors import DataFlowError as DataFlowError
from .errors import DefinitionError as DefinitionError
from .errors import DeliveryError as DeliveryError
from .graph import Graph as Graph
from .message import Answer as Answer
from .message import DeadLetter as DeadLetter
from .message import Message as Message
from .operators import balance as balance
from .operators import batch as batch
from .operators import combine_latest as combine_latest
from .operators import concat as concat
from .operators import filter_ as filter_
from .operators import flatten as flatten
from .operators import merge as merge
from .operators import partition as partition
from .operators import route as route
from .operators import scan as scan
from .operators import split as split
from .operators import take as take
from .operators import through as through
from .operators import until as until
from .operators import zip_ as zip_
from .policy import Buffer as Buffer
from .policy import Rate as Rate
from .policy import Retry as Retry
from .policy import dead_letter as dead_letter
from .stage import Stage as Stage
from .stage import stage as stage

__all__ = (
    "AckableSource",
    "Answer",
    "Buffer",
    "DataFlow",
    "DataFlowError",
    "DeadLetter",
    "DefinitionError",
    "DeliveryError",
    "Graph",
    "Message",
    "Rate",
    "Retry",
    "Run",
    "Sink",
    "Source",
    "Stage",
    "TransactionalSink",
    "balance",
    "batch",
    "combine_latest",
    "concat",
    "dead_letter",
    "filter_",
    "flatten",
    "merge",
    "partition",
    "route",
    "scan",
    "split",
    "stage",
    "take",
    "through",
    "until",
    "zip_",
)
