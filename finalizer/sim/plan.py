"""What happens in a made world, as data: what clients send, what breaks, and by which terms. Moments are ns after the
beginning. The same plan makes the same world, so a plan is also the story of what went wrong in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

from finalizer.core.terms import SECOND

MILLISECOND = SECOND // 1000


class What(Enum):
    """What breaks."""

    KILL = "kill"
    """A worker is killed; it is started again after `lasts`."""
    STOP = "stop"
    """A worker finishes what it has in hand and leaves the group; it is started again after `lasts`."""
    REBALANCE = "rebalance"
    """The group begins a new generation: who has a partition lets what is in hand be written, and goes on in it."""
    FREEZE = "freeze"
    """A worker stands still for `lasts` (SIGSTOP), and goes on where it stood."""
    CUT = "cut"
    """A worker reaches no broker for `lasts`."""
    DOWN = "down"
    """The broker is gone for `lasts`: nobody reads or writes, clients send again when it is back."""
    OFFLINE = "offline"
    """No client reaches the broker for `lasts`; they send again when they do."""
    SLOW = "slow"
    """Each request takes `lasts` longer, for as long."""
    COMPACT = "compact"
    """The changelog is compacted."""
    RETAIN = "retain"
    """Retention deletes most of what is not read yet of each input."""
    UNHEARD = "unheard"
    """A worker cannot read the heartbeats of processes for `lasts`."""
    LOSE_FRAME = "lose frame"
    """The next frame that a worker polls is lost on its way."""


class Where(Enum):
    """A point between two effects on the world, at which a worker may be killed or frozen."""

    BEFORE_BEGIN = "before begin"
    BEFORE_OUTPUTS = "before outputs"
    BETWEEN_SENDS = "between sends"
    PRESUMED_SENT = "presumed sent"
    """The same of what a timer decided."""
    BEFORE_COMMIT = "before commit"
    BEFORE_ACK = "before ack"
    """After the commit, before anybody was told."""
    FENCED = "fenced"
    """In a restore: the former owner is fenced, nothing is read yet."""
    RESTORING = "restoring"
    """In a restore: half of the changelog is read."""
    BEFORE_TOUCH = "before touch"
    """In a restore: the state is there, the first write is not made yet."""
    FRAME_WAITS = "frame waits"
    """Re-keying: records have come, and wait behind those in hand."""
    BEFORE_EVIDENCE = "before evidence"
    """Re-keying: what was read is not written yet."""
    BETWEEN_EVIDENCE = "between evidence"
    """Re-keying: a part of it is written."""
    BEFORE_WRITTEN = "before written"
    """Re-keying: all of it is written, and nobody vouches for it yet."""
    BEFORE_OFFSETS = "before offsets"
    """Re-keying: before the group hears of it."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that breaks, and is whole again after `lasts`."""

    at: int
    what: What
    lasts: int = 0
    worker: int = 0
    source: int | None = None
    """Not a worker, but whoever re-keys this source partition."""
    where: Where | None = None
    """Not at `at`, but the first time after it that the worker comes here."""

    @property
    def seat(self) -> int:
        """Whose process it is about."""
        return self.worker if self.source is None else -1 - self.source


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record that a client sends at `at`. Without a type it is garbage."""

    at: int
    type: str | None = None
    fields: Mapping[str, Any] = {}
    """Further fields of the native event. What ends in `_unix_nano` is a moment, ns after the beginning."""
    arrives: tuple[int, ...] = (MILLISECOND,)
    """How long each copy of it takes to the broker."""
    to: int = 0
    """Number of the input."""


class Client(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One span, and all that its client sends."""

    name: str
    events: tuple[Event, ...]
    clock: int = 0
    """How far its clock is ahead."""
    comeback: int = SECOND
    """How long after the broker's return it sends again."""
    instance: str = ""
    """The process in which it lives; none: it stands for itself."""
    boot: str = ""
    """Which start of that process."""


class Input(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An input topic."""

    topic: str
    create_time: bool = False
    """Its records carry their producers' stamps, not the broker's."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole world."""

    seed: int
    exactly_once: bool
    config: Mapping[str, Any]
    """finalizer.yaml without its inputs."""
    inputs: tuple[Input, ...]
    partitions: int
    workers: tuple[int, ...]
    """When each worker is started for the first time."""
    cadence: int
    """A worker polls this often."""
    latency: int
    """Of a request to the broker."""
    most_records: int
    """Of one poll of one partition."""
    behind: int
    """How far the workers' idea of the broker's clock is behind it."""
    sticky: bool
    """Partitions stay where they are in a rebalance, as far as they can."""
    clients: tuple[Client, ...]
    faults: tuple[Fault, ...]
    processes: tuple[Client, ...] = ()
    """Starts of processes, and their heartbeats, which count for the clients that live in them."""
    sources: int = 0
    """Partitions of the only input, if it is re-keyed; 0: it is direct."""
    decoding: int = 0
    """Whoever re-keys has a frame in hand for so long before it writes it; marks are written meanwhile."""
    lasts: int
    """When the last client is at its end and everything is whole again; then the world goes on until all is closed."""
