"""Spans that live in processes, and the view of these, for the tests of instances. Seconds after `EPOCH`."""

from __future__ import annotations

from finalizer.core.causes import Cause
from finalizer.core.clock import Reading
from finalizer.core.instances import Beat, Instances
from finalizer.core.model import Kind
from finalizer.core.terms import MINUTE, SECOND, Heartbeat, Terms
from tests.core.making import EPOCH, at, evidence
from tests.core.watched import Watched, key

TERMS = Terms(heartbeat=Heartbeat(interval=10 * SECOND), silence=10 * MINUTE)
LEASE = 32
"""Seconds after its last heartbeat at which a process that beats every ten is missed."""
POD = "pod"


def heard_until(view: Instances, seconds: float, *, blind: bool = False) -> None:
    """The topic was heard up to this moment."""
    view.follow(Reading(at(seconds), at(seconds), not blind, False, blind, False, not blind))


def listening(*, most: int = 100, begin: float = 0) -> Instances:
    """A view that has caught up."""
    view = Instances(most=most)
    heard_until(view, begin)
    return view


def beats(view: Instances, seconds: float, boot: str = "one", *, instance: str = POD, interval: float = 10) -> None:
    """A heartbeat of a process, heard when it was sent."""
    view.hear(Beat(instance, boot, at(seconds), round(interval * SECOND)), at(seconds))


class Living(Watched):
    """Spans that live in processes, under a watch that listens to these."""

    def __init__(self, view: Instances, *, outage_least: int = 10) -> None:
        super().__init__(terms=TERMS, outage_least=outage_least)
        self.view = self.watch.instances = view

    def opens(self, number: int, boot: str = "one", *, interval: float = 10) -> None:
        """A span begins in a process."""
        told = evidence(Kind.START, self.now, start=self.now, key=key(number), interval=interval)
        self._hear(number, told.but(instance=(POD, boot)))

    def goes_on(self, until: float, *boots: str) -> list[int]:
        """Let the time go on while these starts of the process beat every ten seconds; who was closed meanwhile."""
        closed = []
        while self.now < until:
            for boot in boots if self.now % 10 == 0 else ():
                beats(self.view, self.now, boot)
            heard_until(self.view, self.now + 1)
            closed += self.run(1)
        return closed

    def close_of(self, number: int) -> tuple[Cause | None, float, float]:
        """Cause, end and deadline of a span, in seconds."""
        closed = self.closed[number].after.closed
        assert closed is not None
        return closed.cause, (closed.end_at - EPOCH) / SECOND, (closed.deadline_at - EPOCH) / SECOND
