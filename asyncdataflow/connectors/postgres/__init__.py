"""PostgreSQL: a table as a queue."""

from .queue import PostgresQueue

__all__ = ("PostgresQueue",)
