"""The spool's file: its tables, how it is opened, and how one that is broken is moved out of the way."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

VERSION: Final = 1
WAIT_SECONDS: Final = 5.0
"""For another process that writes; never spent on the app's own threads."""
BESIDE: Final = ("", "-wal", "-shm")

SCHEMA: Final = f"""
CREATE TABLE runs (token TEXT PRIMARY KEY, alive_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, kind TEXT NOT NULL, span TEXT NOT NULL,
  at INTEGER NOT NULL, value BLOB NOT NULL
);
CREATE INDEX of_run ON events (run, id);
CREATE TABLE spans (
  span TEXT PRIMARY KEY, run TEXT NOT NULL, last_at INTEGER NOT NULL, seq INTEGER NOT NULL,
  heard INTEGER NOT NULL DEFAULT 0, known BLOB NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""


class Unreadable(Exception):
    """The file is no spool that this release can read."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the spool, made if it is missing. Raises `Unreadable`, or `sqlite3.Error` for what may pass."""
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        if is_corrupt(error):
            raise Unreadable(str(error)) from error
        raise
    except Unreadable:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 4194304")
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version != VERSION and (version or tables):
            raise Unreadable(f"format {version}")
        if not tables:
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    # A look at every table: a file that is cut off is seen now, not in the middle of a crash.
    for table in ("runs", "events", "spans"):
        connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()  # noqa: S608 - three names of our own


def is_corrupt(error: sqlite3.Error) -> bool:
    """True if trying again cannot help: not a full disk, a lock or a missing folder, but a broken file."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return type(error) is sqlite3.DatabaseError


def move_aside(path: Path) -> None:
    """Give a broken spool another name, for a person to look at; the last one is kept. Raises `OSError`."""
    aside = path.with_name(f"{path.name}.corrupt")
    for suffix in BESIDE:
        part, to = path.with_name(path.name + suffix), aside.with_name(aside.name + suffix)
        if part.exists():
            part.replace(to)
        else:
            to.unlink(missing_ok=True)
