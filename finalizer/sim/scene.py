"""What all in a made world share: the clock, the broker, the group, the terms; and what was found wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

import yaml

from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, encode_json
from finalizer.core.safety import Releases
from finalizer.core.sources import Place
from finalizer.core.terms import SECOND
from finalizer.pipeline import Decode, Encoding
from finalizer.policy.load import Policy, load
from finalizer.sim.broker import Broker
from finalizer.sim.group import Group
from finalizer.sim.kernel import Kernel
from finalizer.sim.plan import Plan, Where
from finalizer.sim.shadow import Shadow

EPOCH = 1_747_648_800 * SECOND
"""The beginning of every world."""
EVIDENCE = "evidence"
"""The topic of what was re-keyed."""
COMMIT_EVERY = 2 * SECOND
"""The group hears of a partition's progress this often."""


class Trouble(Enum):
    """What can be wrong with a world."""

    MISSING = "missing"
    """A span that was started has no final, or an orphan no dead letter."""
    TWICE = "twice"
    """Two finals of one revision, a record twice where each is promised once, or repeats with other bytes."""
    FALSE_CLOSE = "false close"
    """A span was closed though it was alive, or its end was there to be read."""
    EARLY = "early"
    """A span was closed before it was due."""
    MASS_CLOSE = "mass close"
    """More was closed by inference within a window than the breaker lets through."""
    CROWDED = "crowded"
    """More was open than there is room for, or a span was evicted though there was."""
    LATE = "late"
    """Something was written later than it must be."""
    WRONG = "wrong"
    """A final with another cause, end or revision than the truth allows."""
    NOT_LASTING = "not lasting"
    """A presumed final was written that did not last."""
    RESTORED_OTHERWISE = "restored otherwise"
    """A restore found another state than was durable."""
    WENT_BACK = "went back"
    """A watermark or a clock in a changelog went back."""
    UNNEEDED_DOUBT = "unneeded doubt"
    """A partition was restored for records that were not missing."""
    UNDECIDED = "undecided"
    """A record could not be decided."""
    CRASHED = "crashed"
    """Something raised that should never raise."""


class Finding(NamedTuple):
    """Something that is wrong, and what."""

    trouble: Trouble
    what: str


class Scene:
    """The shared part of a world. `reached` and `loses_frame` are asked by workers, `exited` is told by them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.policy = _policy(plan)
        self.kernel = Kernel(EPOCH)
        self.named = [one.topic for one in plan.inputs]
        self.stamped = {EVIDENCE: True} if plan.sources else {one.topic: not one.create_time for one in plan.inputs}
        """Topics that workers read -> their timestamps are the broker's."""
        self.places: list[Place] = [(self.named[0], number) for number in range(plan.sources)]
        self.broker = Broker(self.stamped, plan.partitions, self.places)
        self.group = Group(plan.partitions, sticky=plan.sticky)
        self.decoders: Mapping[str, Decode] = {topic: NativeDecoder().decode for topic in self.named}
        self.encoding = Encoding(encode_json, JSON)
        self.shadows = [Shadow() for _ in range(plan.partitions)]
        self.findings: list[Finding] = []
        self.releases = Releases()
        self.frames_lost = 0
        self.offline_until = 0
        """Until then no client reaches the broker."""
        self.restores = 0
        self.reached: Callable[[int, Where], None] = lambda _seat, _where: None
        self.loses_frame: Callable[[int], bool] = lambda _seat: False
        self.exited: Callable[[int], None] = lambda _seat: None
        self.rekeyed: dict[Place, int] = {}
        """Source partition -> where the group would read on."""
        self._committed: dict[int, tuple[int, dict[str, int]]] = {}

    def find(self, trouble: Trouble, what: str) -> None:
        """Something is wrong."""
        self.findings.append(Finding(trouble, what))

    def acked(self, number: int, offsets: Mapping[str, int]) -> None:
        """A partition is durable up to these offsets; the group hears of it now and then."""
        told_at, _ = self._committed.get(number, (0, {}))
        if self.kernel.now - told_at >= COMMIT_EVERY:
            self._committed[number] = self.kernel.now, {topic: offset + 1 for topic, offset in offsets.items()}

    def committed(self, number: int) -> Mapping[str, int]:
        """Where the group would read on."""
        return self._committed.get(number, (0, {}))[1]


_policies: dict[str, Policy] = {}


def _policy(plan: Plan) -> Policy:
    rekey = "always" if plan.sources else "never"
    text = yaml.safe_dump({**plan.config, "inputs": [{"topic": one.topic, "rekey": rekey} for one in plan.inputs]})
    if text not in _policies:
        _policies.clear()
        _policies[text] = load(text)
    return _policies[text]
