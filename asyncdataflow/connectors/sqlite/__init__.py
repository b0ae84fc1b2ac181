"""SQLite: rows as items, items as rows, and positions in the transaction of the rows.

With the ``sqlite3`` of the standard library, on a thread of each session's own. What is written to
is set to WAL mode, which outlives the session, and every commit waits for the disk
(``synchronous=FULL``).
"""

from __future__ import annotations

from ..scheme import End, Scheme
from .sink import SqliteSink as SqliteSink
from .source import SqliteSource as SqliteSource
from .transactional import SqliteTransactionalSink as SqliteTransactionalSink

__all__ = ("SCHEME", "SqliteSink", "SqliteSource", "SqliteTransactionalSink")

SCHEME = Scheme(source=End(SqliteSource, "path"), sink=End(SqliteSink, "path"))
