"""What the clients are going to do that no real one does, and what the right finals are. Pure: a seed decides all.

A client that repeats everything, whose clock is off, or that sends garbage is made here, event by event; the others are
apps (`roles.py`). The right finals follow from the behaviour alone, not from the law: this is the second opinion.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import orjson

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
BEAT_SECONDS = 1.0
BIRTHS_SHARE = 0.6
"""Spans are born in this first part of the time."""


class Behaviour(Enum):
    """What a client does; the value is what the table calls it."""

    HEALTHY = "healthy"
    CRASHES = "is killed after a heartbeat"
    NEVER_BEATS = "is killed before its first heartbeat"
    RETURNS = "is killed, comes back and closes it"
    RETURNS_LATE = "is killed, comes back too late"
    FREEZES = "is frozen, ends it after the verdict"
    GOES_SILENT = "goes silent, never beats"
    PARTIAL = "closes early, with what it has"
    BACKGROUNDED = "goes to the background for good"
    END_FIRST = "end arrives before the start"
    REPEATS = "sends everything three times"
    CLOCK_AHEAD = "clock an hour ahead"
    CLOCK_BEHIND = "clock an hour behind"
    GARBAGE = "sends garbage"


SHARES = {
    Behaviour.HEALTHY: 36,
    Behaviour.CRASHES: 10,
    Behaviour.NEVER_BEATS: 6,
    Behaviour.RETURNS: 8,
    Behaviour.RETURNS_LATE: 3,
    Behaviour.FREEZES: 6,
    Behaviour.GOES_SILENT: 6,
    Behaviour.PARTIAL: 4,
    Behaviour.BACKGROUNDED: 4,
    Behaviour.END_FIRST: 5,
    Behaviour.REPEATS: 4,
    Behaviour.CLOCK_AHEAD: 3,
    Behaviour.CLOCK_BEHIND: 3,
    Behaviour.GARBAGE: 2,
}
"""Of a hundred spans (or, of garbage, records)."""

KINDS_OF_WORK = (("upload", "upload"), ("checkout", "payment"), ("sync photos", "sync"), ("play video", "playback"))
VERSIONS = ("4.1.0", "4.2.0")
DEVICES = ("Pixel 9", "iPhone17,2", "SM-S931B", "Nothing A063")


class Step(NamedTuple):
    """One event: it happens at ``at`` and is sent at ``send``, both in seconds after the span's birth."""

    send: float
    at: float
    fields: dict[str, Any]


class RightFinal(NamedTuple):
    """A final that must come: its cause, and its end in seconds after the span's birth."""

    cause: str
    end: float


@dataclass(frozen=True, slots=True)
class Plan:
    """One span of one client. ``birth``: seconds after the crowd sets out; ``skew``: nanoseconds its clock is off."""

    behaviour: Behaviour
    trace_id: str
    span_id: str
    birth: float
    steps: tuple[Step, ...]
    finals: tuple[RightFinal, ...]
    """By revision, the first is 1."""
    letters: tuple[str, ...] = ()
    """Kinds of the dead letters that must come."""
    skew: int = 0
    copies: int = 1


class Garbage(NamedTuple):
    """A record that no worker can use, sent ``birth`` seconds after the crowd sets out."""

    birth: float
    value: bytes


class Script(NamedTuple):
    """What a behaviour makes of one span."""

    steps: list[Step]
    finals: tuple[RightFinal, ...]
    letters: tuple[str, ...] = ()


def how_many(spans: int) -> dict[Behaviour, int]:
    """Share ``spans`` out among the behaviours; each has one at least, and the healthy take what is left."""
    counts = {behaviour: max(1, spans * share // 100) for behaviour, share in SHARES.items()}
    counts[Behaviour.HEALTHY] += spans - sum(counts.values())
    return counts


def make_plans(counts: Mapping[Behaviour, int], seconds: float, rng: random.Random) -> tuple[list[Plan], list[Garbage]]:
    """Return what so many spans (and garbage records) will do within about ``seconds``."""
    garbage = [Garbage(rng.uniform(0, seconds * BIRTHS_SHARE), junk(rng)) for _ in range(counts[Behaviour.GARBAGE])]
    plans = [make_plan(behaviour, seconds, rng) for behaviour in SCRIPTS for _ in range(counts[behaviour])]
    return plans, garbage


def a_life(seconds: float, rng: random.Random) -> float:
    """How long a span lives that ends by itself, in a crowd that plays for so long."""
    return rng.uniform(0.4, max(0.8, min(6.0, seconds * (1 - BIRTHS_SHARE) - 0.5)))


def make_plan(behaviour: Behaviour, seconds: float, rng: random.Random) -> Plan:
    """Return the plan of one span."""
    script = SCRIPTS[behaviour](a_life(seconds, rng), rng)
    return Plan(
        behaviour,
        trace_id=f"{rng.getrandbits(128) | 1:032x}",
        span_id=f"{rng.getrandbits(64) | 1:016x}",
        birth=rng.uniform(0, seconds * BIRTHS_SHARE),
        steps=tuple(script.steps),
        finals=script.finals,
        letters=script.letters,
        skew={Behaviour.CLOCK_AHEAD: HOUR, Behaviour.CLOCK_BEHIND: -HOUR}.get(behaviour, 0),
        copies=3 if behaviour is Behaviour.REPEATS else 1,
    )


def ends(life: float, rng: random.Random) -> Script:
    """Start, heartbeats, end."""
    steps = [start(rng), *beats(life, rng), end(life)]
    return Script(steps, (RightFinal("completed", life),))


def crashes(life: float, rng: random.Random) -> Script:
    """Start, a heartbeat or more, nothing."""
    steps = [start(rng), *(beats(life, rng) or [beat(life / 2, progress=0.5)])]
    return Script(steps, (RightFinal("heartbeat_lost", steps[-1].at),), ("incomplete",))


def end_first(life: float, rng: random.Random) -> Script:
    """The end overtakes the start on the way."""
    late_start = start(rng)._replace(send=life + rng.uniform(0.1, 0.8))
    return Script([end(life), late_start], (RightFinal("completed", life),))


def clock_off(life: float, rng: random.Random) -> Script:
    """One that ends, or one that crashes: what its clock says must make no difference."""
    return (ends if rng.random() < 0.5 else crashes)(life, rng)


SCRIPTS: dict[Behaviour, Callable[[float, random.Random], Script]] = {
    Behaviour.END_FIRST: end_first,
    Behaviour.REPEATS: ends,
    Behaviour.CLOCK_AHEAD: clock_off,
    Behaviour.CLOCK_BEHIND: clock_off,
}


def start(rng: random.Random) -> Step:
    """The start of a span of some kind of work."""
    name, span_type = rng.choice(KINDS_OF_WORK)
    fields: dict[str, Any] = {
        "type": "start",
        "name": name,
        "span_type": span_type,
        "kind": "client",
        "resource": {"service.name": f"mobile-{span_type}", "service.version": rng.choice(VERSIONS)},
        "attributes": some_attributes(rng),
        "heartbeat_interval_ms": int(BEAT_SECONDS * 1000),
    }
    return Step(0.0, 0.0, fields)


def some_attributes(rng: random.Random) -> dict[str, str]:
    """Of which device and network it is."""
    return {"device.model.name": rng.choice(DEVICES), "network.connection.type": rng.choice(("wifi", "cell"))}


def beats(life: float, rng: random.Random) -> list[Step]:
    """The heartbeats of a life of so many seconds; a short one has none."""
    moments = [number * BEAT_SECONDS - rng.uniform(0.0, 0.2) for number in range(1, int(life / BEAT_SECONDS) + 1)]
    return [beat(moment, progress=moment / life) for moment in moments]


def beat(moment: float, *, progress: float) -> Step:
    """One heartbeat."""
    return Step(moment, moment, {"type": "heartbeat", "progress": round(progress, 3)})


def end(moment: float) -> Step:
    """The end."""
    return Step(moment, moment, {"type": "end", "status": {"code": 1}})


def junk(rng: random.Random) -> bytes:
    """A record of one of the kinds that broken producers send. No two are equal."""
    nonce = f"{rng.getrandbits(64) | 1:016x}"
    event = {
        "type": "start",
        "trace_id": nonce * 2,
        "span_id": nonce,
        "time_unix_nano": 1_747_648_800,
        "name": "in seconds",
    }
    return rng.choice(
        (
            rng.randbytes(40),
            b"\x00" + nonce.encode(),
            orjson.dumps(event),
            orjson.dumps(event)[:-20],
            orjson.dumps({**event, "trace_id": "0" * 32, "name": nonce}),
            orjson.dumps([nonce]),
            b"[" * 2000 + nonce.encode(),
        )
    )
