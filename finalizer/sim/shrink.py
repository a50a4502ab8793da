"""Making the plan of a wrong world smaller, as long as the same kind of thing stays wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from finalizer.sim.plan import MILLISECOND, Client, Event, Fault, Plan
from finalizer.sim.scene import Trouble
from finalizer.sim.trial import tried

T = TypeVar("T")
MOST_TRIES = 1500


class _Shrinking:
    """The smallest plan so far, and how often another one may be tried."""

    def __init__(self, plan: Plan, trouble: Trouble) -> None:
        self.plan = plan
        self._trouble = trouble
        self._tries = MOST_TRIES

    def takes(self, **changes: Any) -> bool:
        """Try a smaller plan; keep it if it is wrong in the same way."""
        if self._tries <= 0:
            return False
        self._tries -= 1
        plan = msgspec.structs.replace(self.plan, **changes)
        if plan == self.plan or all(one.trouble is not self._trouble for one in tried(plan).findings):
            return False
        self.plan = plan
        return True

    def without(self, parts: Callable[[], Sequence[T]], put: Callable[[Sequence[T]], dict[str, Any]]) -> None:
        """Leave out as many parts as can be: halves first, then quarters, down to single ones."""
        size = max(1, len(parts()) // 2)
        while True:
            place = 0
            while place < len(parts()):
                if not self.takes(**put([*parts()[:place], *parts()[place + size :]])):
                    place += size
            if size == 1:
                return
            size //= 2

    def without_events(self, place: int) -> None:
        """The same for what one client sends."""
        self.without(
            lambda: self.plan.clients[place].events,
            lambda events: {"clients": _with_events(self.plan, place, events)},
        )


def shrunk(plan: Plan, trouble: Trouble) -> Plan:
    """A smaller plan in whose world the same kind of thing is wrong. `plan`'s own must be."""
    shrinking = _Shrinking(plan, trouble)
    size = 0
    while size != (size := len(msgspec.json.encode(shrinking.plan))):
        shrinking.without(lambda: shrinking.plan.faults, lambda faults: {"faults": tuple(faults)})
        shrinking.without(lambda: shrinking.plan.clients, lambda clients: {"clients": tuple(clients)})
        shrinking.without(lambda: shrinking.plan.processes, lambda some: {"processes": tuple(some)})
        for place in range(len(shrinking.plan.clients)):
            shrinking.without_events(place)
        shrinking.without(lambda: shrinking.plan.workers[1:], lambda rest: {"workers": (0, *rest)})
        for changes in _simpler(shrinking.plan):
            shrinking.takes(**changes)
    return shrinking.plan


def _with_events(plan: Plan, place: int, events: Sequence[Event]) -> tuple[Client, ...]:
    client = msgspec.structs.replace(plan.clients[place], events=tuple(events))
    return (*plan.clients[:place], client, *plan.clients[place + 1 :])


def _first_source(fault: Fault) -> Fault:
    return fault if fault.source is None else msgspec.structs.replace(fault, source=0)


def _simpler(plan: Plan) -> Iterator[dict[str, Any]]:
    """Changes that make a world simpler without making it smaller."""
    yield {"partitions": 1}
    if plan.sources:
        yield {"sources": 1, "faults": tuple(_first_source(fault) for fault in plan.faults)}
    yield {"behind": 0}
    yield {"decoding": 0}
    yield {"latency": MILLISECOND * 4}
    yield {"most_records": 500}
    yield {"clients": tuple(msgspec.structs.replace(client, clock=0) for client in plan.clients)}
    for place, client in enumerate(plan.clients):
        once = [msgspec.structs.replace(event, arrives=event.arrives[:1]) for event in client.events]
        yield {"clients": _with_events(plan, place, once)}
