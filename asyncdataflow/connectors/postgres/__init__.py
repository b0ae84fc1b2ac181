"""PostgreSQL: a table as a queue, queries, and sinks that write once or keep their source's positions."""

from .query import PostgresQuery
from .queue import PostgresQueue
from .sink import PostgresSink
from .transactional import PostgresTransactionalSink

__all__ = ("PostgresQuery", "PostgresQueue", "PostgresSink", "PostgresTransactionalSink")
