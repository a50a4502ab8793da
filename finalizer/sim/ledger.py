"""What was written in a made world, read back: finals, dead letters and rejected records, by span.

Read as a stranger would: from the bytes and headers of the records alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from finalizer.core.model import SpanKey
from finalizer.pipeline import Topic
from finalizer.sim.broker import Written

REPORTED = {"completed": 4, "partial": 3, "restarted": 2, "abandoned": 1}
"""Causes that a client tells, and their ranks."""


class Final(NamedTuple):
    """A final as its readers see it. Moments in ns since 1970."""

    id: bytes
    value: bytes
    revision: int
    cause: str
    end: int
    status: int
    deadline: int
    """0 where the client told the end."""
    detected: int
    """The partition's clock when it was decided."""
    at: int
    """When it was written."""
    gap: bool
    """It says that evidence may be lost."""

    @property
    def reported(self) -> bool:
        return self.cause in REPORTED

    def told(self) -> str:
        """In words."""
        return f"{self.cause} (revision {self.revision})"


class Letter(NamedTuple):
    """A dead letter."""

    kind: str
    deadline: int
    at: int


class Ledger:
    """Committed finals and letters by span, in the order of writing, and what was rejected, by value."""

    def __init__(self, written: Iterable[Written]) -> None:
        self.finals: dict[SpanKey, list[Final]] = defaultdict(list)
        self.letters: dict[SpanKey, list[Letter]] = defaultdict(list)
        self.rejected: dict[bytes, list[int]] = defaultdict(list)
        """Value -> when it was written."""
        self.uncommitted: dict[SpanKey, list[Final]] = defaultdict(list)
        """Finals of aborted transactions: somebody who reads uncommitted records has seen them."""
        for one in written:
            output = one.output
            value = output.value or b""
            if output.topic is Topic.FINALIZED:
                key, final = _final(value, dict(output.headers), one.at)
                (self.finals if one.committed else self.uncommitted)[key].append(final)
            elif not one.committed:
                continue
            elif output.topic is Topic.DLQ:
                told = json.loads(value)
                deadline = int(told["deadline_unix_nano"] or 0)
                key = bytes.fromhex(told["trace_id"] + told["span_id"])
                self.letters[key].append(Letter(told["kind"], deadline, one.at))
            else:
                self.rejected[value].append(one.at)


def _final(value: bytes, headers: Mapping[str, bytes], at: int) -> tuple[SpanKey, Final]:
    span = json.loads(value)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    told: dict[str, Any] = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
    return bytes.fromhex(span["traceId"] + span["spanId"]), Final(
        headers["span-finalizer-id"],
        value,
        int(told["span_finalizer.revision"]),
        told["span_finalizer.cause"],
        int(span["endTimeUnixNano"]),
        span["status"].get("code", 0),
        int(told.get("span_finalizer.deadline_unix_nano", 0)),
        int(headers["span-finalizer-detected-at"]),
        at,
        bool(told.get("span_finalizer.evidence_gap")),
    )
