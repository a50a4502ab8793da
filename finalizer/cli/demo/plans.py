"""What each simulated client is going to do, and what the right finals are for it. Pure: a seed decides everything.

The right finals follow from the behaviour alone, not from the law: this is the demo's second opinion.
"""

from __future__ import annotations

import random
from collections.abc import Callable
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
    CRASHES = "crashes after a heartbeat"
    NEVER_BEATS = "promises heartbeats, sends none"
    GOES_SILENT = "goes silent, never beats"
    ENDS_LATE = "end arrives after the verdict"
    END_FIRST = "end arrives before the start"
    REPEATS = "sends everything three times"
    CLOCK_AHEAD = "clock an hour ahead"
    CLOCK_BEHIND = "clock an hour behind"
    PARTIAL = "closes early, with what it has"
    ABANDONED = "gives up what it left open"
    BACKGROUNDED = "goes to the background for good"
    GARBAGE = "sends garbage"


SHARES = {
    Behaviour.HEALTHY: 40,
    Behaviour.CRASHES: 10,
    Behaviour.NEVER_BEATS: 6,
    Behaviour.GOES_SILENT: 6,
    Behaviour.ENDS_LATE: 6,
    Behaviour.END_FIRST: 5,
    Behaviour.REPEATS: 6,
    Behaviour.CLOCK_AHEAD: 4,
    Behaviour.CLOCK_BEHIND: 4,
    Behaviour.PARTIAL: 4,
    Behaviour.ABANDONED: 3,
    Behaviour.BACKGROUNDED: 4,
    Behaviour.GARBAGE: 2,
}
"""Of a hundred spans (or, of garbage, records)."""

KINDS_OF_WORK = (("upload", "upload"), ("checkout", "payment"), ("sync photos", "sync"), ("play video", "playback"))
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
    after_verdict: Step | None = None
    """Sent when the span's first final has been seen, whenever that is."""


class Garbage(NamedTuple):
    """A record that no worker can use, sent ``birth`` seconds after the crowd sets out."""

    birth: float
    value: bytes


class Script(NamedTuple):
    """What a behaviour makes of one span."""

    steps: list[Step]
    finals: tuple[RightFinal, ...]
    letters: tuple[str, ...] = ()
    after_verdict: Step | None = None


def how_many(spans: int) -> dict[Behaviour, int]:
    """Share ``spans`` out among the behaviours; each has one at least, and the healthy take what is left."""
    counts = {behaviour: max(1, spans * share // 100) for behaviour, share in SHARES.items()}
    counts[Behaviour.HEALTHY] += spans - sum(counts.values())
    return counts


def make_plans(spans: int, seconds: float, *, seed: int) -> tuple[list[Plan], list[Garbage]]:
    """Return what ``spans`` spans (and garbage records among them) will do within about ``seconds``."""
    rng = random.Random(seed)
    counts = how_many(spans)
    garbage = [Garbage(rng.uniform(0, seconds * BIRTHS_SHARE), junk(rng)) for _ in range(counts.pop(Behaviour.GARBAGE))]
    plans = [make_plan(behaviour, seconds, rng) for behaviour, count in counts.items() for _ in range(count)]
    return plans, garbage


def make_plan(behaviour: Behaviour, seconds: float, rng: random.Random) -> Plan:
    """Return the plan of one span."""
    life = rng.uniform(0.4, max(0.8, min(6.0, seconds * (1 - BIRTHS_SHARE) - 0.5)))
    script = SCRIPTS[behaviour](life, rng)
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
        after_verdict=script.after_verdict,
    )


def ends(life: float, rng: random.Random) -> Script:
    """Start, heartbeats, end."""
    steps = [start(rng), *beats(life, rng), end(life)]
    return Script(steps, (RightFinal("completed", life),))


def crashes(life: float, rng: random.Random) -> Script:
    """Start, a heartbeat or more, nothing."""
    steps = [start(rng), *(beats(life, rng) or [beat(life / 2, progress=0.5)])]
    return Script(steps, (RightFinal("heartbeat_lost", steps[-1].at),), ("incomplete",))


def never_beats(_: float, rng: random.Random) -> Script:
    """Start, nothing, though heartbeats were promised."""
    return Script([start(rng)], (RightFinal("no_heartbeat", 0.0),), ("incomplete",))


def goes_silent(_: float, rng: random.Random) -> Script:
    """Start, nothing, and nothing was promised."""
    return Script([start(rng, beating=False)], (RightFinal("timeout", 0.0),), ("incomplete",))


def ends_late(life: float, rng: random.Random) -> Script:
    """As one that crashes; but it was the network, and the end gets through after the verdict."""
    lost = crashes(life, rng)
    finals = (*lost.finals, RightFinal("completed", life + 1.0))
    return Script(lost.steps, finals, ("incomplete", "resolved"), after_verdict=end(life + 1.0))


def end_first(life: float, rng: random.Random) -> Script:
    """The end overtakes the start on the way."""
    late_start = start(rng)._replace(send=life + rng.uniform(0.1, 0.8))
    return Script([end(life), late_start], (RightFinal("completed", life),))


def clock_off(life: float, rng: random.Random) -> Script:
    """One that ends, or one that crashes: what its clock says must make no difference."""
    return (ends if rng.random() < 0.5 else crashes)(life, rng)


def partial(life: float, rng: random.Random) -> Script:
    """Start, heartbeats, a closing summary."""
    steps = [start(rng), *beats(life, rng), end(life, reason="partial")]
    return Script(steps, (RightFinal("partial", life),), ("incomplete",))


def abandoned(life: float, rng: random.Random) -> Script:
    """Start, heartbeats; the client is restarted at once and gives up what it had left open."""
    steps = [start(rng), *beats(life, rng), end(life, reason="abandoned")]
    return Script(steps, (RightFinal("abandoned", life),), ("incomplete",))


def backgrounded(life: float, rng: random.Random) -> Script:
    """Start, heartbeats, to the background, and never back."""
    away = Step(life, life, {"type": "lifecycle", "state": "background"})
    return Script([start(rng), *beats(life, rng), away], (RightFinal("backgrounded", life),), ("incomplete",))


SCRIPTS: dict[Behaviour, Callable[[float, random.Random], Script]] = {
    Behaviour.HEALTHY: ends,
    Behaviour.CRASHES: crashes,
    Behaviour.NEVER_BEATS: never_beats,
    Behaviour.GOES_SILENT: goes_silent,
    Behaviour.ENDS_LATE: ends_late,
    Behaviour.END_FIRST: end_first,
    Behaviour.REPEATS: ends,
    Behaviour.CLOCK_AHEAD: clock_off,
    Behaviour.CLOCK_BEHIND: clock_off,
    Behaviour.PARTIAL: partial,
    Behaviour.ABANDONED: abandoned,
    Behaviour.BACKGROUNDED: backgrounded,
}


def start(rng: random.Random, *, beating: bool = True) -> Step:
    """The start of a span of some kind of work."""
    name, span_type = rng.choice(KINDS_OF_WORK)
    fields: dict[str, Any] = {
        "type": "start",
        "name": name,
        "span_type": span_type,
        "kind": "client",
        "resource": {"service.name": f"mobile-{span_type}", "service.version": rng.choice(("4.1.0", "4.2.0"))},
        "attributes": {
            "device.model.name": rng.choice(DEVICES),
            "network.connection.type": rng.choice(("wifi", "cell")),
        },
    }
    if beating:
        fields["heartbeat_interval_ms"] = int(BEAT_SECONDS * 1000)
    return Step(0.0, 0.0, fields)


def beats(life: float, rng: random.Random) -> list[Step]:
    """The heartbeats of a life of so many seconds; a short one has none."""
    moments = [number * BEAT_SECONDS - rng.uniform(0.0, 0.2) for number in range(1, int(life / BEAT_SECONDS) + 1)]
    return [beat(moment, progress=moment / life) for moment in moments]


def beat(moment: float, *, progress: float) -> Step:
    """One heartbeat."""
    return Step(moment, moment, {"type": "heartbeat", "progress": round(progress, 3)})


def end(moment: float, *, reason: str | None = None) -> Step:
    """The end, with the client's word for why if it has one."""
    fields: dict[str, Any] = {"type": "end", "status": {"code": 1}}
    return Step(moment, moment, fields if reason is None else {"type": "end", "reason": reason})


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
