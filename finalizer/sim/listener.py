"""How a simulated worker follows the heartbeats of whole processes: one view for all its partitions, as in `shell`.

The topic is read from its beginning. It may be unheard for a while; if that takes too long, reading begins anew.
"""

from __future__ import annotations

from typing import Protocol

from finalizer.core.instances import Instances
from finalizer.core.terms import SECOND
from finalizer.listening import Listening
from finalizer.sim.kernel import Owner, Process
from finalizer.sim.scene import Scene, Trouble

GIVES_UP = 10 * SECOND
"""Without an answer for so long it begins anew."""
AGAIN = 5 * SECOND


class Host(Owner, Protocol):
    """The worker, as its listener sees it."""

    unheard_until: int
    """Until then it cannot read the topic."""

    def time(self) -> int:
        """What it takes for the broker's time."""

    def reachable(self) -> bool:
        """True while it can talk to the broker."""


class Listener:
    """Follows the topic, and fills `view`, as long as its worker lives."""

    def __init__(self, scene: Scene, host: Host) -> None:
        self.view = Instances()
        self._scene = scene
        self._host = host
        scene.kernel.spawn(self._follow(), host)

    def _follow(self) -> Process:
        while True:
            settle = self._scene.policy.safety.settle
            yield from self._read(Listening(self.view, [0], settle=settle, now=self._host.time()))
            self.view.cut_off()
            yield AGAIN

    def _read(self, listening: Listening) -> Process:
        """Take the answer to the last request, and make the next: what is answered is as old as the last answer."""
        kernel, plan, host = self._scene.kernel, self._scene.plan, self._host
        log, position, fetched, heard = self._scene.broker.instances, 0, None, kernel.now
        while kernel.now - heard < GIVES_UP:
            yield plan.cadence
            now = host.time()
            if fetched is not None:
                records, end = log.read(position, plan.most_records, fetched)
                if end > position:
                    for record, error in listening.hear(0, records, end=end, stamped=True, now=now):
                        self._scene.find(Trouble.UNDECIDED, f"{record}: {error!r}")
                listening.answered(0, arrived_at=now, position=end, highwater=fetched)
                position, heard = end, kernel.now
            heard_of = host.reachable() and host.unheard_until <= kernel.now
            fetched = log.end if heard_of else None
            listening.tick(now)
