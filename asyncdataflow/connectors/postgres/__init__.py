"""PostgreSQL: a table as a queue, queries, and sinks that write once or keep their source's positions."""

from ..scheme import End, Scheme
from .query import PostgresQuery
from .queue import PostgresQueue
from .sink import PostgresSink
from .transactional import PostgresTransactionalSink

__all__ = ("SCHEME", "PostgresQuery", "PostgresQueue", "PostgresSink", "PostgresTransactionalSink")

SCHEME = Scheme(source=End(PostgresQueue, "table"), sink=End(PostgresSink, "table"))
