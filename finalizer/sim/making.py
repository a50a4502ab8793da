"""A seed -> the plan of a world. All chance is here: what the plan says happens, and nothing else."""

from __future__ import annotations

from random import Random
from typing import Any

from finalizer.core.terms import MINUTE, SECOND
from finalizer.sim.lives import Lives
from finalizer.sim.ordeals import crowded, cut_off, eaten, left, mass_death, rekeyed
from finalizer.sim.plan import MILLISECOND, Client, Fault, Input, Plan, What, Where
from finalizer.sim.processes import in_processes

LONG_OUTAGE = (5 * SECOND, 25 * SECOND)
SHORT_OUTAGE = (200 * MILLISECOND, 1500 * MILLISECOND)
"""Too short for a worker to notice; clients are back at once."""
_COMMITS = (
    *(Where.BEFORE_BEGIN, Where.BEFORE_OUTPUTS, Where.BETWEEN_SENDS, Where.BEFORE_COMMIT, Where.BEFORE_ACK),
    *(Where.PRESUMED_SENT,) * 3,  # what a timer decides is seldom in hand, and is to be met as often as the rest
)
_RESTORES = (Where.FENCED, Where.RESTORING, Where.BEFORE_TOUCH)
_HOUR = 60 * MINUTE
_ORDEALS = (
    (0.1, mass_death),
    (0.18, crowded),
    (0.22, cut_off),
    (0.27, eaten),
    (0.37, rekeyed),
    (0.45, left),
    (0.51, in_processes),
)
"""Kinds of worlds, and the share of all up to which they are made."""


def make_plan(seed: int) -> Plan:
    """The world of this seed."""
    chance = Random(seed)
    kind = chance.random()
    for below, ordeal in _ORDEALS:
        if kind < below:
            return ordeal(_ordinary(Random(chance.getrandbits(40)), seed), chance)
    return _ordinary(chance, seed)


def _ordinary(chance: Random, seed: int) -> Plan:
    """A world with all faults, and room for every span."""
    exactly_once = chance.random() < 0.75
    inputs = _inputs(chance)
    settle = chance.choice((4, 6)) * SECOND
    lasts = chance.randint(60, 100) * SECOND
    workers = _workers(chance)
    faults = _faults(chance, lasts, workers=len(workers), exactly_once=exactly_once)
    short_memory = chance.random() < 0.25
    return Plan(
        seed=seed,
        exactly_once=exactly_once,
        config=_config(chance, settle, short_memory=short_memory),
        inputs=inputs,
        partitions=chance.choice((1, 1, 2, 4)),
        workers=workers,
        cadence=chance.randint(250, 700) * MILLISECOND + 137_000,
        latency=chance.choice((4, 10, 60)) * MILLISECOND,
        most_records=chance.choice((5, 20, 500)),
        behind=chance.choice((0, 0, 20, 200)) * MILLISECOND,
        sticky=chance.random() < 0.5,
        clients=_clients(chance, inputs, settle, lasts, is_skewed=not short_memory),
        faults=faults,
        lasts=lasts,
    )


def _inputs(chance: Random) -> tuple[Input, ...]:
    kind = chance.random()
    if kind < 0.7:
        return (Input(topic="spans.events"),)
    if kind < 0.85:
        return (Input(topic="spans.events"), Input(topic="spans.ends"))
    return (Input(topic="spans.events", create_time=True),)


def _workers(chance: Random) -> tuple[int, ...]:
    return (0, *(chance.choice((0, chance.randint(0, 30) * SECOND)) for _ in range(chance.choice((0, 0, 1, 2)))))


def _config(chance: Random, settle: int, *, short_memory: bool) -> dict[str, Any]:
    config: dict[str, Any] = {
        "terms": {
            "heartbeat": {
                "interval": f"{chance.choice((2, 3))}s",
                "misses": chance.choice((2, 3)),
                "max": "9s",
                "allowance": "1s",
            },
            "start_grace": f"{chance.choice((5, 8))}s",
            "orphan_grace": f"{chance.choice((5, 10))}s",
            "silence": f"{chance.choice((12, 20))}s",
            "max_duration": f"{chance.choice((30, 45))}s",
            "background_grace": f"{chance.choice((10, 15))}s",
        },
        "safety": {"settle": f"{settle // SECOND}s"},
    }
    if short_memory:  # longer than anything comes late
        config["remember"] = {"presumed": "100s", "finished": "60s"}
    return config


def _clients(
    chance: Random, inputs: tuple[Input, ...], settle: int, lasts: int, *, is_skewed: bool
) -> tuple[Client, ...]:
    skewed = is_skewed and chance.random() < 0.4
    # Where its own stamps count, a producer that is hours behind is beyond memory: nothing is promised there.
    clocks = (0, _HOUR, 30 * SECOND) if inputs[0].create_time else (0, -2 * _HOUR, _HOUR, 30 * SECOND)
    lives = Lives(chance, lasts, ends_to=len(inputs) - 1)
    clients = []
    for number in range(chance.randint(8, 30)):
        clock = chance.choice(clocks) if skewed else 0
        comeback = chance.randint(100, settle * 6 // 10 // MILLISECOND) * MILLISECOND
        events = lives.events(clock)
        clients.append(
            Client(name=f"{chance.getrandbits(24):06x}-{number}", events=events, clock=clock, comeback=comeback)
        )
    return tuple(clients)


def _faults(chance: Random, lasts: int, *, workers: int, exactly_once: bool) -> tuple[Fault, ...]:
    faults = [
        _fault(chance, lasts * 7 // 10, worker=chance.randrange(workers), exactly_once=exactly_once)
        for _ in range(chance.choice((0, 1, 2, 3, 4, 6, 8)))
    ]
    return tuple(sorted(faults, key=lambda fault: fault.at))


def _fault(chance: Random, until: int, *, worker: int, exactly_once: bool) -> Fault:
    at = chance.randint(3 * SECOND // MILLISECOND, until // MILLISECOND) * MILLISECOND
    what = chance.choice(
        (What.KILL,) * 6
        + (What.FREEZE,) * 3
        + (What.DOWN,) * 3
        + (What.CUT, What.CUT, What.STOP, What.REBALANCE, What.REBALANCE, What.SLOW, What.COMPACT, What.LOSE_FRAME)
    )
    where = None
    match what:
        case What.KILL:
            lasts = _between(chance, *chance.choice(((SECOND, 3 * SECOND), (8 * SECOND, 30 * SECOND))))
            where = chance.choice((None, chance.choice(_COMMITS), chance.choice(_COMMITS), chance.choice(_RESTORES)))
        case What.STOP:
            lasts = _between(chance, SECOND, 10 * SECOND)
            where = chance.choice((None, chance.choice(_COMMITS)))
        case What.REBALANCE:
            lasts = 0
            where = chance.choice((None, chance.choice(_COMMITS)))
        case What.FREEZE | What.CUT:
            # Without transactions nobody fences: a worker that is away for longer than its session may write after it.
            lasts = _between(chance, *((SECOND, 25 * SECOND) if exactly_once else (SECOND, 4 * SECOND)))
            if what is What.FREEZE:
                where = chance.choice((None, chance.choice(_COMMITS), chance.choice(_RESTORES)))
        case What.DOWN:
            lasts = _between(chance, *chance.choice((SHORT_OUTAGE, LONG_OUTAGE, LONG_OUTAGE)))
        case What.SLOW:
            lasts = _between(chance, SECOND, 8 * SECOND)
        case _:
            lasts = 0
    return Fault(at=at, what=what, lasts=lasts, worker=worker, where=where)


def _between(chance: Random, least: int, most: int) -> int:
    return chance.randint(least // MILLISECOND, most // MILLISECOND) * MILLISECOND
