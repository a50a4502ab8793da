"""Memory as a sink: for tests, and for programs that look at their own spans."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from finalizer.client.events import Record
from finalizer.client.sinks.sink import Undelivered


class MemorySink:
    """Keeps the last `most` records. `down` makes it refuse everything, as a network does that is gone."""

    whole_heartbeats = False

    def __init__(self, most: int = 100_000) -> None:
        self.most = most
        self.records: list[Record] = []
        self.down = False

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events, read again from what was sent."""
        return [json.loads(record.value) for record in self.records]

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        if self.down:
            raise Undelivered("the sink is down")
        self.records += records
        del self.records[: -self.most]
        return ()

    def forget(self) -> None:
        self.records = []

    def close(self) -> None:
        pass
