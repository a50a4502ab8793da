"""Do producers send fields that no event has? Asked of few records; each name is told once."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from finalizer.codecs.unknown_fields import told, unknown_fields
from finalizer.shell import logs
from finalizer.shell.metrics import Metrics

log = logs.get("fields")

MAX_TOLD: Final = 20
"""Names of an input that are told; who makes up new ones for each record need not fill the log."""


class Fields:
    """One for all direct inputs of a worker."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._told: defaultdict[str, set[str]] = defaultdict(set)

    def check(self, topic: str, value: bytes) -> None:
        """Look at a record that could be decoded."""
        unknown = unknown_fields(value)
        if not unknown:
            return
        self._metrics.apply(Counter({("unknown_fields_total", topic): 1}))
        known = self._told[topic]
        for name in unknown:
            if name not in known and len(known) < MAX_TOLD:
                known.add(name)
                log.warning("unknown_field", f"an event of {topic}: {told(name)}")
