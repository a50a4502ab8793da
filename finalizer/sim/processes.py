"""Worlds of processes: they beat for the spans that live in them, die, and come back as another start of the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

import msgspec

from finalizer.core.terms import SECOND
from finalizer.sim.broker import INSTANCES
from finalizer.sim.ordeals import QUICK
from finalizer.sim.plan import MILLISECOND, Client, Event, Fault, Input, Plan, What

_SECOND = SECOND // MILLISECOND


class _Life(NamedTuple):
    """One start of a process, and from when to when it lives."""

    instance: str
    boot: str
    born: int
    dies: int
    next_at: int
    """When the process is started again, perhaps before the older start is gone."""


def in_processes(plan: Plan, chance: Random) -> Plan:
    """Most spans live in a process that beats for them; workers hear of it late, or for a while not at all."""
    lives = [life for number in range(chance.randint(5, 9)) for life in _lives(chance, f"pod-{number}", plan.lasts)]
    unheard = [_unheard(chance, plan) for _ in range(chance.randint(4, 9))]
    clients = (_living(chance, one, lives) for one in plan.clients)
    return msgspec.structs.replace(
        plan,
        config={**plan.config, "instances": {"topic": INSTANCES}},
        inputs=(Input(topic="spans.events"),),
        cadence=QUICK,
        clients=tuple(client for client in clients if client.events),
        processes=tuple(_beating(chance, life, plan) for life in lives),
        faults=tuple(sorted((*plan.faults, *unheard), key=lambda fault: fault.at)),
    )


def _lives(chance: Random, instance: str, lasts: int) -> Iterator[_Life]:
    born = chance.randint(0, 3 * _SECOND) * MILLISECOND
    for number in range(chance.choice((1, 2, 2, 3))):
        dies = born + chance.randint(5 * _SECOND, 40 * _SECOND) * MILLISECOND
        next_at = dies + chance.choice((-4 * SECOND, chance.randint(200, 15 * _SECOND) * MILLISECOND))
        yield _Life(instance, f"start-{number}", born, min(dies, lasts), next_at)
        born = next_at
        if born > lasts - 10 * SECOND:
            return


def _beating(chance: Random, life: _Life, plan: Plan) -> Client:
    """A process. Some beat as late as they may: whoever does not know how far it has heard closes what lives there."""
    barely, events, at = chance.random() < 0.8, list[Event](), life.born
    interval = (3 if barely else chance.choice((2, 3))) * SECOND  # no span has promised to beat less often
    misses = plan.config["terms"]["heartbeat"]["misses"]
    fields = {"heartbeat_interval_ms": interval // MILLISECOND}
    while at < life.dies:
        late = chance.random() < 0.05 and not barely
        arrives = chance.randint(1, 1500 if late else 30) * MILLISECOND
        events.append(Event(at=at, type="instance", fields=fields, arrives=(MILLISECOND if barely else arrives,)))
        margin = chance.randint(5, 100) * MILLISECOND
        at += min(interval * misses, 9 * SECOND) + SECOND - margin if barely else interval
    return Client(
        name=f"{life.instance}-{life.boot}",
        events=tuple(events),
        comeback=chance.randint(100, 2000) * MILLISECOND,
        instance=life.instance,
        boot=life.boot,
    )


def _living(chance: Random, client: Client, lives: Sequence[_Life]) -> Client:
    """The client in one of the processes that live when it begins; with it, it falls silent."""
    events = tuple(msgspec.structs.replace(one, to=0) for one in client.events if one.type != "lifecycle")
    born = min((one.at for one in events), default=0)
    homes = [life for life in lives if life.born <= born < life.dies]
    if not homes or chance.random() < 0.1:
        return msgspec.structs.replace(client, events=events)
    home = chance.choice(homes)
    quiet = chance.random() < 0.7
    kept = [one for one in events if one.at < home.dies and not (quiet and one.type == "heartbeat")]
    if len(kept) < len(events) and kept and chance.random() < 0.2:
        reason = chance.choice(("restarted", "abandoned"))
        kept.append(Event(at=home.next_at + SECOND, type="end", fields={"reason": reason}))
    return msgspec.structs.replace(client, events=tuple(kept), instance=home.instance, boot=home.boot)


def _unheard(chance: Random, plan: Plan) -> Fault:
    short, longer, long = (500, 1500), (3 * _SECOND, 8 * _SECOND), (12 * _SECOND, 20 * _SECOND)
    lasts = chance.randint(*chance.choice((*(short,) * 6, longer, long)))
    at = chance.randint(5 * _SECOND, plan.lasts * 6 // 10 // MILLISECOND) * MILLISECOND
    worker = chance.randrange(len(plan.workers))
    return Fault(at=at, what=What.UNHEARD, lasts=lasts * MILLISECOND, worker=worker)
