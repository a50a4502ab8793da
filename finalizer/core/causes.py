"""Why a span has a final: the closed list of causes, and what a reader may assume from each (RATIONALE: the law).

`FACTS` is the one source of this table: the codecs write its words, the metrics take their label values from it,
and the README's table is generated from it.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final, NamedTuple


class StatusCode(IntEnum):
    """Status of a span, with the numbers of OTLP (`opentelemetry.proto.trace.v1.Status.StatusCode`)."""

    UNSET = 0
    OK = 1
    ERROR = 2


class Cause(Enum):
    """Why a span has a final. The value is what stands in `span_finalizer.cause`, in metrics and in the docs."""

    COMPLETED = "completed"
    PARTIAL = "partial"
    RESTARTED = "restarted"
    ABANDONED = "abandoned"
    TIMEOUT = "timeout"
    HEARTBEAT_LOST = "heartbeat_lost"
    NO_HEARTBEAT = "no_heartbeat"
    STALLED = "stalled"
    SESSION_EXPIRED = "session_expired"
    BACKGROUNDED = "backgrounded"
    INSTANCE_REPLACED = "instance_replaced"
    DOWNSTREAM_FINISHED = "downstream_finished"
    PARENT_CLOSED = "parent_closed"
    WATCHDOG_INTERVENTION = "watchdog_intervention"
    SWEPT = "swept"
    EVICTED = "evicted"

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is a Python call


class Facts(NamedTuple):
    """What a reader of a final may assume from its cause."""

    rank: int
    """Of two ends the higher rank stands: completed > partial > restarted > abandoned > presumed (0)."""
    status_word: str
    reason_word: str
    """`span_finalizer.reason`, where the client gave no word of its own."""
    status: StatusCode
    """OTel status of the final, unless the client had set one."""
    incomplete: bool
    """True: the span goes to the dead-letter topic as well."""
    end_time: str
    meaning: str

    @property
    def reported(self) -> bool:
        """True where the client told us of the end; False where we inferred it."""
        return self.rank > 0


_ERROR, _UNSET = StatusCode.ERROR, StatusCode.UNSET
_LAST = "last evidence"

FACTS: Final[dict[Cause, Facts]] = {
    Cause.COMPLETED: Facts(4, "completed", "", _UNSET, False, "reported", "the client ended it"),
    Cause.PARTIAL: Facts(3, "partial", "", _UNSET, True, "reported", "the client closed it early, with what it had"),
    Cause.RESTARTED: Facts(
        2,
        "abandoned",
        "client-crash",
        _ERROR,
        True,
        "reported",
        "the client came back and closed what its last run left",
    ),
    Cause.ABANDONED: Facts(
        1, "abandoned", "client-crash", _ERROR, True, "reported", "the client closed it as too old to go on with"
    ),
    Cause.TIMEOUT: Facts(
        0, "dead", "timeout", _ERROR, True, _LAST, "nothing was heard for `silence`, or `max_duration` is over"
    ),
    Cause.HEARTBEAT_LOST: Facts(0, "dead", "heartbeat-lost", _ERROR, True, _LAST, "it beat, and then it stopped"),
    Cause.NO_HEARTBEAT: Facts(0, "dead", "no-heartbeat", _ERROR, True, _LAST, "it owed a heartbeat and never beat"),
    Cause.STALLED: Facts(0, "dead", "no-progress", _ERROR, True, _LAST, "it beats, but its progress stands still"),
    Cause.SESSION_EXPIRED: Facts(
        0, "expired", "session-expired", _UNSET, True, _LAST, "the session it belongs to ran out"
    ),
    Cause.BACKGROUNDED: Facts(
        0, "partial", "backgrounded", _UNSET, True, _LAST, "the app went to the background and never came back"
    ),
    Cause.INSTANCE_REPLACED: Facts(
        0, "dead", "client-crash", _ERROR, True, _LAST, "a newer start of the same process was seen"
    ),
    Cause.DOWNSTREAM_FINISHED: Facts(
        0, "recovered", "downstream-finished", _UNSET, True, "latest child or linked end", "what it called has finished"
    ),
    Cause.PARENT_CLOSED: Facts(
        0, "dead", "parent-closed", _UNSET, True, "last evidence or later", "its parent was closed"
    ),
    Cause.WATCHDOG_INTERVENTION: Facts(
        0, "recovered", "watchdog-intervention", _ERROR, True, _LAST, "a detector closed it as an anomaly"
    ),
    Cause.SWEPT: Facts(0, "dead", "timeout", _ERROR, True, _LAST, "a sweep over history closed it"),
    Cause.EVICTED: Facts(0, "unknown", "memory-bound", _UNSET, True, _LAST, "closed early: the worker's memory bound"),
}
