"""What the apps of the crowd are going to do, and what becomes of their processes. Pure: a seed decides everything.

Which moments a span truly begins, beats and ends at only its app knows; see `diary.py`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from msgspec.structs import replace

from finalizer.cli.demo.lines import Close, Part
from finalizer.cli.demo.plans import (
    BEAT_SECONDS,
    BIRTHS_SHARE,
    KINDS_OF_WORK,
    VERSIONS,
    Behaviour,
    a_life,
    some_attributes,
)

RETURN_BEAT_SECONDS = 3.0
"""Of spans whose app is going to be started again: time enough for a slow machine to start it before the verdict."""
BEATEN_SECONDS = 1.2
"""How old a span is at least when it has to have beaten."""
KEPT_SECONDS = 1.0
"""What the spool of an app keeps that comes back too late."""
MIDDLE = 0.5


class Fate(Enum):
    """What becomes of an app's process."""

    WORKS = "until the demo is over"
    KILLED = "killed, and never seen again"
    KILLED_YOUNG = "killed as soon as its spans have begun, and never seen again"
    RETURNS = "killed, and started again at once"
    RETURNS_LATE = "killed, and started again when its spool does not keep its spans any more"
    FREEZES = "stopped until its spans are closed, then it goes on"
    PAUSES = "works on in the background"


PROCESSES = {
    Fate.WORKS: (Behaviour.HEALTHY, 3),
    Fate.KILLED: (Behaviour.CRASHES, 3),
    Fate.KILLED_YOUNG: (Behaviour.NEVER_BEATS, 1),
    Fate.RETURNS: (Behaviour.RETURNS, 2),
    Fate.RETURNS_LATE: (Behaviour.RETURNS_LATE, 1),
    Fate.FREEZES: (Behaviour.FREEZES, 1),
    Fate.PAUSES: (Behaviour.BACKGROUNDED, 1),
}
"""Which spans are of this fate, and how many processes they are dealt to at most."""


@dataclass(frozen=True, slots=True)
class Role:
    """One app. Its fate strikes ``moment`` seconds after the crowd sets out, or when its spans are ready for that."""

    fate: Fate
    moment: float
    parts: tuple[Part, ...]
    behaviours: Mapping[int, Behaviour]
    """By the number of a part."""
    resource: Mapping[str, str]


def make_roles(counts: Mapping[Behaviour, int], seconds: float, rng: random.Random) -> list[Role]:
    """Return the apps that have so many spans between them, and play for ``seconds``."""
    roles = []
    for fate, (behaviour, most) in PROCESSES.items():
        processes = min(most, counts[behaviour])
        for number in range(processes):
            share = MIDDLE if processes == 1 else 0.3 + 0.5 * number / (processes - 1)
            moment = seconds * share * rng.uniform(0.9, 1.1)
            own = [behaviour] * len(range(number, counts[behaviour], processes))
            if fate is Fate.WORKS:
                for other in (Behaviour.PARTIAL, Behaviour.GOES_SILENT):
                    own += [other] * len(range(number, counts[other], processes))
            roles.append(make_role(fate, own, moment=moment, seconds=seconds, rng=rng))
    return roles


def make_role(
    fate: Fate, behaviours: Sequence[Behaviour], *, moment: float, seconds: float, rng: random.Random
) -> Role:
    """One app with spans of these behaviours."""
    parts = []
    for number, behaviour in enumerate(behaviours):
        name, span_type = rng.choice(KINDS_OF_WORK)
        part = Part(number, name, span_type, some_attributes(rng), birth=0.0, heartbeat=BEAT_SECONDS)
        if fate is Fate.WORKS:
            parts.append(closed(part, behaviour, seconds=seconds, rng=rng))
        else:
            parts.append(left_open(part, fate, moment=moment, rng=rng))
    service = rng.choice(KINDS_OF_WORK)[1]
    resource = {"service.name": f"mobile-{service}", "service.version": rng.choice(VERSIONS)}
    return Role(fate, moment, tuple(parts), dict(enumerate(behaviours)), resource)


def closed(part: Part, behaviour: Behaviour, *, seconds: float, rng: random.Random) -> Part:
    """A span that its app closes by itself, or forgets."""
    part = replace(part, birth=rng.uniform(0, seconds * BIRTHS_SHARE))
    if behaviour is Behaviour.GOES_SILENT:
        return replace(part, heartbeat=None)
    close = Close.PARTIAL if behaviour is Behaviour.PARTIAL else Close.END
    return replace(part, life=a_life(seconds, rng), close=close)


def left_open(part: Part, fate: Fate, *, moment: float, rng: random.Random) -> Part:
    """A span that is open when its app's fate strikes: it begins in the last seconds before that."""
    if fate is Fate.KILLED_YOUNG:
        return replace(part, birth=moment)
    last = max(0.0, moment - BEATEN_SECONDS)
    beat = RETURN_BEAT_SECONDS if fate in (Fate.RETURNS, Fate.RETURNS_LATE) else BEAT_SECONDS
    return replace(part, birth=rng.uniform(max(0.0, last - 5.0), last), heartbeat=beat)
