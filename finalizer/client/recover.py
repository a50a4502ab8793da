"""What earlier runs left: their events are sent, and the spans that they left open are closed.

A span ends at its last known moment, with what was known of it: `restarted` where the program came back in time,
`abandoned` where that was longer ago than the spool keeps. An operation is not closed but kept, for it may be resumed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Final

from finalizer.client.buffer import END
from finalizer.client.events import Record, encoded
from finalizer.client.left import Left, Taken
from finalizer.client.spool import Spool, rows
from finalizer.client.spool.runs import is_alive, lock_path

CHUNK: Final = 500
"""Spans that are closed in one transaction."""


def recover(spool: Spool, is_open: Callable[[str], bool], found: Callable[[Taken], None]) -> bool:
    """Take over what runs that are over have left; False if the disk refuses, and it has to be tried again.

    `is_open` tells which spans (key) this run has open itself; `found` is told what was taken over.
    """
    while True:
        taken = spool.work(lambda connection: _take_over(connection, spool, is_open))
        if taken is None:
            return False
        spool.look_again()
        found(taken)
        for run in taken.gone:
            lock_path(spool.path, run).unlink(missing_ok=True)
        if not taken.more:
            return True


def _take_over(connection: sqlite3.Connection, spool: Spool, is_open: Callable[[str], bool]) -> Taken:
    recovered = Taken([], {}, [], more=False)
    now = spool.clock.wall()
    for run, alive_at in connection.execute(
        "SELECT token, alive_at FROM runs WHERE token != ?", (spool.run,)
    ).fetchall():
        if is_alive(spool.path, run):
            continue
        connection.execute("UPDATE events SET run = ? WHERE run = ?", (spool.run, run))
        query = "SELECT span, last_at, seq, heard, known FROM spans WHERE run = ? LIMIT ?"
        left = connection.execute(query, (run, CHUNK)).fetchall()
        ends: list[Record] = []
        for span, last_at, seq, heard, known in left:
            one = _read(known, max(last_at, alive_at), seq)
            if is_open(span) or (one is not None and "op_id" in one.known):
                connection.execute("UPDATE spans SET run = ? WHERE span = ?", (spool.run, span))
                if one is not None and not is_open(span):
                    recovered.operations.append(one)
                continue
            connection.execute("DELETE FROM spans WHERE span = ?", (span,))
            reason = "unreadable" if one is None else _reason(now - one.last_at, spool, heard=bool(heard))
            recovered.closed[reason] = recovered.closed.get(reason, 0) + 1
            if one is not None and reason in ("restarted", "abandoned"):
                ends.append(end_of(one, span, reason, now))
        rows.insert(connection, spool.run, ends)
        if len(left) == CHUNK:
            return recovered._replace(more=True)
        connection.execute("DELETE FROM runs WHERE token = ?", (run,))
        recovered.gone.append(run)
    return recovered


def end_of(left: Left, span: str, reason: str, now: int) -> Record:
    """The end of a span that nobody ended: at its last known moment, with what was known."""
    told = {
        **left.known,
        "type": END,
        "time_unix_nano": str(left.last_at),
        "seq": left.seq + 1,
        "start_time_unix_nano": str(left.start_at),
        "reason": reason,
    }
    return Record(END, span, now, encoded(told))


def _read(known: bytes, last_at: int, seq: int) -> Left | None:
    try:
        left = Left(json.loads(known), last_at, seq)
        return left._replace(last_at=max(last_at, left.start_at))
    except (ValueError, KeyError, TypeError):
        return None


def _reason(age: int, spool: Spool, *, heard: bool) -> str:
    """Why the span ends. What the worker has heard of and does not remember any more got its final long ago."""
    if age <= spool.ttl:
        return "restarted"
    return "forgotten" if heard and age > spool.remembered else "abandoned"
