"""What a span's evidence comes to, worked out anew from what truly happened: the oracle's own idea of the terms.

Nothing here is taken from the law: whoever compares must not ask who is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from finalizer.core.terms import Terms
from finalizer.sim.clients import PULSE, Landed
from finalizer.sim.ledger import REPORTED
from finalizer.sim.plan import MILLISECOND
from finalizer.sim.scene import EPOCH

_CODES = {None: 0, "unset": 0, "ok": 1, "error": 2}


class Ending(NamedTuple):
    """An end that a client told; of two, the greater one stands."""

    rank: int
    at: int
    status: int
    cause: str


class Term(NamedTuple):
    """What a span without an end owes: `lease` after `since` it may be closed, for `cause` (None: `missing_start`)."""

    cause: str | None
    since: int
    lease: int
    fixed: bool = False
    """A moment, whatever is heard meanwhile."""


def starts(record: Landed) -> bool:
    """True if the record tells the start of its span."""
    return record.event.type == "start" or "start_time_unix_nano" in record.event.fields


def start_of(records: Iterable[Landed]) -> int:
    """The earliest start that they tell; one must."""
    return min(
        EPOCH + one.event.fields["start_time_unix_nano"] if one.event.type != "start" else one.told_at
        for one in records
        if starts(one)
    )


def end_of(record: Landed) -> Ending | None:
    """The end that the record tells."""
    if record.event.type != "end":
        return None
    fields = record.event.fields
    cause = fields.get("reason", "completed")
    cause = cause if cause in REPORTED else "completed"
    code = _CODES[fields.get("status", {}).get("code")]
    return Ending(REPORTED[cause], record.told_at, code, cause)


class Link(NamedTuple):
    """An end that counts when it is heard."""

    end: Ending
    is_final: bool
    """False: it is a dead letter `late_end`, since of a span that completed only the end is remembered."""


def chain(records: Sequence[Landed], closed_at: int | None) -> list[Link]:
    """What comes of a span's ends, if these records are read in this order.

    `closed_at`: the end of the presumed final before them, if there is one.
    """
    links: list[Link] = []
    best: Ending | None = None
    started = False
    for record in records:
        end = end_of(record)
        if end is not None and not links and not _counts(end, closed_at):
            end = None
        new = end is not None or (starts(record) and not started)
        started = started or starts(record)
        best = max((one for one in (best, end) if one is not None), default=None)
        if not (started and new) or best is None:
            continue
        if not links:
            links.append(Link(best, is_final=True))
        elif best[:3] > links[-1].end[:3]:
            is_whole = closed_at is not None or links[0].end.cause != "completed"
            is_whole = is_whole or any(link.is_final for link in links[1:])
            links.append(Link(best, is_final=is_whole or starts(record)))
    return links


def _counts(end: Ending, closed_at: int | None) -> bool:
    """False: it knows less than the presumed close, and is forgotten, or it would outrank a later one that does not."""
    return closed_at is None or end.rank >= REPORTED["partial"] or end.at > closed_at


def heard_at(record: Landed) -> int:
    """The earliest moment for which its evidence counts."""
    return min(record.at, record.stamp) if record.is_stamped_by_producer else record.at


def first_heard_at(records: Iterable[Landed]) -> int:
    """When the span itself was heard first, whenever its process was."""
    return min(heard_at(one) for one in records if one.event.type != PULSE)


def replaced(records: Sequence[Landed], newer: Sequence[Landed], terms: Terms) -> Term | None:
    """What a span owes whose process has a newer start, of which this was heard; None: its own start is not over."""
    last = max(map(heard_at, records))
    if newer[-1].at <= last:
        return None
    return Term("instance_replaced", max(last, newer[0].at), terms.orphan_grace)


def soft(records: Sequence[Landed], terms: Terms) -> Term:
    """What a span owes next, after this evidence."""
    first, last = first_heard_at(records), max(map(heard_at, records))
    if not any(map(starts, records)):
        return Term(None, first, terms.orphan_grace)
    moods = [one for one in records if one.event.type == "lifecycle"]
    mood = max(moods, key=lambda one: one.told_at, default=None)
    if mood is not None and mood.event.fields["state"] != "foreground":
        return Term("backgrounded", last, terms.background_grace)
    beats = any(one.event.type in ("heartbeat", PULSE) for one in records)
    interval = max(one.event.fields.get("heartbeat_interval_ms", 0) for one in records) * MILLISECOND
    beat = terms.heartbeat
    if not (beats or interval or beat.required):
        return Term("timeout", last, terms.silence)
    lease = min(max((interval or beat.interval) * beat.misses, beat.min), beat.max) + beat.allowance
    if beats:
        return Term("heartbeat_lost", last, lease)
    return Term("no_heartbeat", last, max(lease, first + terms.start_grace - last))


def hard(records: Sequence[Landed], terms: Terms) -> list[Term]:
    """The moments at which a span is over, whatever is heard."""
    first = first_heard_at(records)
    timeout = max(one.event.fields.get("timeout_ms", 0) for one in records) * MILLISECOND
    limits = [Term("timeout", first + min(timeout or terms.max_duration, terms.max_duration), 0, fixed=True)]
    session = max(one.event.fields.get("session_expires_unix_nano", 0) for one in records)
    if session:
        limits.append(Term("session_expired", EPOCH + session, 0, fixed=True))
    return limits
