"""What is read from the spool's tables and written to them, one function for each purpose."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final

from finalizer.client.buffer import END
from finalizer.client.events import Record
from finalizer.client.spool.fresh import MOST_BYTES

SLICE: Final = 500
_CHUNKS: Final = (64, 16, 4, 1)
"""Rows of one statement. Python lets go of its lock, and asks for it again, once for each row or statement: while the
app computes, each time costs 5 ms."""
_DROPS: Final = (
    "kind NOT IN ('lifecycle', 'start', 'end')",
    "kind = 'lifecycle'",
    "kind = 'start' AND span IN (SELECT span FROM events WHERE kind = 'end')",
    "kind = 'start'",
    "kind = 'end'",
)
"""What goes when there is too much, the least first."""

_EVENTS: Final = ("INSERT INTO events (run, kind, span, at, value) VALUES ", "(?, ?, ?, ?, ?)", "")
_KNOWN: Final = (
    "INSERT INTO spans (span, run, last_at, seq, known) VALUES ",
    "(?, ?, ?, ?, ?)",
    """ ON CONFLICT (span) DO UPDATE SET run = excluded.run, last_at = max(last_at, excluded.last_at),
    seq = max(seq, excluded.seq), known = excluded.known""",
)
_ENDED: Final = ("DELETE FROM spans WHERE span IN (", "?", ")")
_HEARD: Final = ("UPDATE spans SET heard = 1 WHERE heard = 0 AND span IN (", "?", ")")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. Waits for other processes for as long as the connection's timeout says."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise


def enter(connection: sqlite3.Connection, run: str, now: int) -> None:
    """Write down that this run has begun."""
    connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?)", (run, now))


def leave(connection: sqlite3.Connection, run: str) -> int:
    """The run is over: forgotten, if it leaves nothing. Returns how much it leaves."""
    left = 0
    for table in ("events", "spans"):
        query = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE run = ? LIMIT 1)"  # noqa: S608 - names of our own
        left += connection.execute(query, (run,)).fetchone()[0]
    if not left:
        connection.execute("DELETE FROM runs WHERE token = ?", (run,))
    return left


def insert(connection: sqlite3.Connection, run: str, records: Sequence[Record]) -> int:
    """Write events, and what they tell of open spans. Returns the id of the last; those before have the ids before."""
    last = _in_chunks(connection, _EVENTS, [(run, one.kind, one.key, one.at, one.value) for one in records])
    known: dict[str, tuple[str, str, int, int, bytes]] = {}
    seen: dict[str, tuple[int, int, str]] = {}
    begun: set[str] = set()
    ended: set[str] = set()
    for one in records:
        if one.kind == END:
            ended.add(one.key)
            known.pop(one.key, None)
        elif one.known is not None:
            ended.discard(one.key)
            known[one.key] = (one.key, run, one.at, one.seq, one.known)
            if one.seq == 1:
                begun.add(one.key)  # nothing is known of it before
        else:
            seen[one.key] = (one.at, one.seq, one.key)
    _in_chunks(connection, _KNOWN, list(known.values()))
    if seen:
        update = "UPDATE spans SET last_at = max(last_at, ?), seq = max(seq, ?) WHERE span = ?"
        connection.executemany(update, list(seen.values()))
    _in_chunks(connection, _ENDED, [(key,) for key in ended - begun])
    return last


def oldest(
    connection: sqlite3.Connection, run: str, most: int, but: Container[int]
) -> tuple[list[tuple[int, str, str, int, bytes]], bool]:
    """The first events of a run, but these: id, kind, span, time, value. And whether these are all."""
    query = "SELECT id, kind, span, at, value FROM events WHERE run = ? ORDER BY id"
    found: list[tuple[int, str, str, int, bytes]] = []
    size = 0
    for row in connection.execute(query, (run,)):
        if row[0] in but:
            continue
        if len(found) == most or size > MOST_BYTES:
            return found, False
        found.append(row)
        size += len(row[4])
    return found, True


def delete(connection: sqlite3.Connection, ids: Sequence[int], heard: Collection[str]) -> int:
    """Delete events; the spans of those that were heard are known to the worker. Returns how many there were."""
    _in_chunks(connection, _HEARD, [(span,) for span in heard])
    deleted = 0
    for first, last in _ranges(sorted(ids)):
        deleted += connection.execute("DELETE FROM events WHERE id BETWEEN ? AND ?", (first, last)).rowcount
    return deleted


def count(connection: sqlite3.Connection) -> int:
    """How many events there are, of all runs."""
    found: int = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    return found


def size(connection: sqlite3.Connection) -> int:
    """Bytes in use, of all tables."""
    pages, free, page = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * page)


def tidy(connection: sqlite3.Connection, run: str, now: int, oldest_kept: int) -> dict[str, int]:
    """The run is alive; events from before `oldest_kept` go. Returns how many of each kind went."""
    enter(connection, run, now)
    first = "SELECT id, kind FROM (SELECT id, kind, at FROM events ORDER BY id LIMIT ?) WHERE at < ?"
    old = connection.execute(first, (SLICE, oldest_kept)).fetchall()
    connection.execute("PRAGMA incremental_vacuum(64)").fetchall()
    return _delete_counted(connection, old)


def drop(connection: sqlite3.Connection, most: int) -> dict[str, int]:
    """Delete so many events, those that matter least. Returns how many of each kind."""
    chosen: list[tuple[int, str]] = []
    for condition in _DROPS:
        query = f"SELECT id, kind FROM events WHERE {condition} ORDER BY id LIMIT ?"  # noqa: S608 - conditions of our own
        taken = {number for number, _ in chosen}
        wanted = most - len(chosen)
        found = connection.execute(query, (wanted + len(taken),)).fetchall()
        chosen += [row for row in found if row[0] not in taken][:wanted]
        if len(chosen) >= most:
            break
    return _delete_counted(connection, chosen)


def _delete_counted(connection: sqlite3.Connection, chosen: Sequence[tuple[int, str]]) -> dict[str, int]:
    connection.executemany("DELETE FROM events WHERE id = ?", [(number,) for number, _ in chosen])
    dropped: dict[str, int] = {}
    for _, kind in chosen:
        dropped[kind] = dropped.get(kind, 0) + 1
    return dropped


def _in_chunks(connection: sqlite3.Connection, parts: tuple[str, str, str], rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a statement for all rows, few times. Returns the id of the row that was inserted last, if it inserts."""
    last, done = 0, 0
    for size in _CHUNKS:
        while len(rows) - done >= size:
            values = [value for row in rows[done : done + size] for value in row]
            last = connection.execute(_statement(parts, size), values).lastrowid or 0
            done += size
    return last


@cache
def _statement(parts: tuple[str, str, str], size: int) -> str:
    head, row, tail = parts
    return head + ", ".join([row] * size) + tail


def _ranges(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each row of numbers without a gap."""
    first = 0
    for place in range(1, len(ids) + 1):
        if place == len(ids) or ids[place] != ids[place - 1] + 1:
            yield ids[first], ids[place - 1]
            first = place
