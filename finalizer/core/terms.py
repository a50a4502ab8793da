"""The terms: the policy that applies to one span. All durations are integer nanoseconds."""

from __future__ import annotations

from enum import Enum

import msgspec

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

BEHIND_AFTER = 2 * SECOND
"""A partition whose clock is further behind the wall than this closes nothing."""


class LateEnd(Enum):
    """What an end that arrives after its span was closed brings about; it is counted in any case."""

    REVISE = "revise"
    """A final of the next revision, which supersedes."""
    DEAD_LETTER = "dead_letter"
    """A dead letter only; the final stays as it is."""
    DROP = "drop"


class Heartbeat(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """When a span that beats is overdue: last heard + clamp(interval x misses, min, max) + allowance."""

    interval: int = 30 * SECOND
    """Assumed where the client declares none."""
    required: bool = False
    """True: every span owes heartbeats, whether it declared an interval or not."""
    misses: int = 3
    min: int = 1 * SECOND
    max: int = 10 * MINUTE
    allowance: int = 2 * SECOND


class Terms(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What applies to one span. `rule` names where it comes from, `policy` the fingerprint of the whole policy."""

    rule: str = "default"
    policy: str = ""
    heartbeat: Heartbeat = Heartbeat()
    start_grace: int = 30 * SECOND
    """Before the first beat a span has at least this long."""
    orphan_grace: int = 1 * MINUTE
    """How long evidence waits for its start."""
    silence: int = 1 * HOUR
    """A span that does not beat is closed after this long without any evidence."""
    max_duration: int = 24 * HOUR
    """Backstop from the first evidence on; a span's own timeout never goes beyond it."""
    progress_timeout: int | None = None
    background_grace: int = 30 * MINUTE
    late_end: LateEnd = LateEnd.REVISE
