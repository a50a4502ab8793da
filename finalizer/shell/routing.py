"""Do producers place records where their trace belongs? One in a thousand is looked at, and the first ones.

The same records are asked for fields that no event has.
"""

from __future__ import annotations

import time
from binascii import hexlify
from collections import Counter
from collections.abc import Sequence

from finalizer.codecs.errors import Unusable
from finalizer.core.model import Coordinates
from finalizer.core.sources import Place
from finalizer.pipeline import Decode, Record
from finalizer.shell import logs
from finalizer.shell.fields import Fields
from finalizer.shell.metrics import Metrics
from finalizer.shell.placement import partition_of

log = logs.get("routing")

EVERY = 1000
QUIET_SECONDS = 60.0


class Routing:
    """One for all direct inputs of a worker, which have `partitions` each."""

    def __init__(self, partitions: int, metrics: Metrics) -> None:
        self._partitions = partitions
        self._metrics = metrics
        self._fields = Fields(metrics)
        self._to_pass: dict[Place, int] = {}
        """(topic, partition) -> records until the next one that is looked at."""
        self._misrouted: Counter[str] = Counter()
        self._told_at = -QUIET_SECONDS

    def look(self, place: Place, records: Sequence[Record], decode: Decode) -> None:
        """Look at some of the records of one partition, which `decode` reads."""
        following = self._to_pass.get(place, 0)
        while following < len(records):
            self._check(place, records[following], decode)
            following += EVERY
        self._to_pass[place] = following - len(records)

    def _check(self, place: Place, record: Record, decode: Decode) -> None:
        topic, partition = place
        try:
            evidence = decode(record.value, Coordinates(topic, partition, record.offset, 0))
        except Unusable:
            return
        if partition_of(hexlify(evidence.key[:16]), self._partitions) != partition:
            self._misrouted[topic] += 1
            self._metrics.apply(Counter({("misrouted_total", topic): 1}))
            self._warn(topic)
        if record.value:
            self._fields.check(topic, record.value)

    def _warn(self, topic: str) -> None:
        now = time.monotonic()
        if now - self._told_at >= QUIET_SECONDS:
            self._told_at = now
            log.warning(
                "misrouted",
                f"records of {topic} lie in other partitions than murmur2 of their trace id says, so a span's evidence "
                "does not meet: set rekey: always on this input, or mend the producer's key or partitioner",
                seen=self._misrouted[topic],
                of_every=EVERY,
            )
