"""What was heard of the processes in which spans live, as the oracle knows it: the heartbeats that count for a span."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from finalizer.sim.clients import Landed
from finalizer.sim.plan import Client


class Pulses:
    """Heartbeats of processes, by process and start, in the order of the log."""

    def __init__(self, landed: Iterable[Landed]) -> None:
        self._boots: dict[str, dict[str, list[Landed]]] = defaultdict(dict)
        for record in landed:
            client = record.client
            self._boots[client.instance].setdefault(client.boot, []).append(record)

    def beside(self, records: Sequence[Landed]) -> Sequence[Landed]:
        """The records of a span together with the heartbeats of its process, in the order in which they landed."""
        client = records[0].client
        own = self._boots[client.instance].get(client.boot, []) if client.boot else []
        return sorted((*records, *own), key=lambda record: record.at) if own else records

    def newer(self, client: Client, until: int) -> Iterator[Sequence[Landed]]:
        """What was heard by then of each start of its process that was heard of after its own."""
        boots = self._boots[client.instance] if client.boot else {}
        names = list(boots)
        first = names.index(client.boot) + 1 if client.boot in boots else 0
        for name in names[first:]:
            heard = [one for one in boots[name] if one.at <= until]
            if heard:
                yield heard
