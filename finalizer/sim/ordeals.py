"""Worlds in which one safety is needed: most clients die at once, more is open than there is room for, all clients are
cut off for minutes, records are gone before they were read, or come by way of those who re-key them; or workers come
and go in good order.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec

from finalizer.core.terms import SECOND
from finalizer.sim.group import SESSION
from finalizer.sim.plan import MILLISECOND, Client, Event, Fault, Input, Plan, What, Where

ROOM = 10
"""Open spans that a worker may have."""
AT_ONCE = 5
"""Records of one poll: so many more may be open until there is room again."""
BEAT = 2 * SECOND
MOST_LATENCY = 200
SLOW_BEAT = 3 * SECOND
LONGEST = 29 * SECOND
"""Less than any `max_duration`."""
QUICK = SECOND // 4 + 137_000
"""Between two polls, as `shell` fetches: what is re-keyed waits for three of them, and is not to count as a backlog."""
_REKEYING = (
    Where.FRAME_WAITS,
    Where.BEFORE_EVIDENCE,
    Where.BETWEEN_EVIDENCE,
    Where.BEFORE_WRITTEN,
    Where.BEFORE_OFFSETS,
)
DEAD = 3
"""Clients that die and do not tell."""


def mass_death(plan: Plan, chance: Random) -> Plan:
    """Most clients fall silent at once, and the breaker stops that from closing all."""
    silent = chance.randint(plan.lasts // 4 // MILLISECOND, plan.lasts // 2 // MILLISECOND) * MILLISECOND
    clients = (one if chance.random() < 0.2 else _silenced(one, silent) for one in _doubled(plan))
    return msgspec.structs.replace(
        plan,
        config=_with(plan, "safety", breaker={"window": "10s", "min_spans": 10, "max_share": 0.5}),
        partitions=1,
        clients=tuple(client for client in clients if client.events),
    )


def crowded(plan: Plan, _: Random) -> Plan:
    """More is open than memory has room for."""
    return msgspec.structs.replace(
        plan,
        config=_with(plan, "limits", open_spans=ROOM),
        partitions=1,
        most_records=AT_ONCE,
        clients=tuple(_doubled(plan)),
    )


def cut_off(plan: Plan, chance: Random) -> Plan:
    """For minutes no client reaches the broker, or nobody does: an outage, and no death."""
    what = chance.choice((What.OFFLINE, What.DOWN))
    begins = chance.randint(15, 25) * SECOND
    lasts = chance.randint(30, 150) * SECOND
    back = begins + lasts
    terms = {**plan.config["terms"], "max_duration": "10m"}
    outage = {"window": "10s", "min_spans": DEAD + 1, "max_pause": "10m"}
    clients = tuple(_beating(chance, number, begins, back) for number in range(chance.randint(12, 20)))
    quiet = (What.KILL, What.STOP, What.COMPACT)
    return msgspec.structs.replace(
        plan,
        config={**_with(plan, "safety", outage=outage), "terms": terms},
        inputs=(msgspec.structs.replace(plan.inputs[0], create_time=False),),
        partitions=1,
        clients=clients,
        faults=(
            Fault(at=begins, what=what, lasts=lasts),
            *(one for one in plan.faults if one.what in quiet),
        ),
        lasts=back + 40 * SECOND,
    )


def eaten(plan: Plan, chance: Random) -> Plan:
    """Retention deletes records that the only worker has not read, while it is gone or stands still."""
    at, what = chance.randint(10, 40) * SECOND, chance.choice((What.KILL, What.FREEZE))
    lasts = chance.randint(3, 15 if what is What.KILL else 5) * SECOND
    return msgspec.structs.replace(
        plan,
        exactly_once=True,
        workers=(0,),
        faults=(Fault(at=at, what=what, lasts=lasts), Fault(at=at + lasts - SECOND, what=What.RETAIN)),
    )


def rekeyed(plan: Plan, chance: Random) -> Plan:
    """Nothing comes by its trace: sources are re-keyed, by processes that are killed, stand still or are cut off."""
    sources = chance.choice((1, 2, 3))
    # In ms. A frame is done with before three more have come, or all that comes is a backlog.
    latency, decoding = chance.choice(((10, 0), (60, 0), (MOST_LATENCY, 0), (60, 150), (10, 200), (10, 250), (10, 250)))
    faults = [
        fault
        for _ in range(chance.randint(3, 6))
        for fault in _without_owner(chance, plan.lasts, source=chance.randrange(sources))
    ]
    if chance.random() < 0.4:
        at = chance.randint(10 * SECOND, plan.lasts * 7 // 10) // MILLISECOND * MILLISECOND
        faults.append(Fault(at=at, what=What.SLOW, lasts=chance.randint(1_000, 4_000) * MILLISECOND))
    if chance.random() < 0.5:
        at = chance.randint(10 * SECOND, plan.lasts * 7 // 10) // MILLISECOND * MILLISECOND
        faults.append(Fault(at=at, what=What.DOWN, lasts=chance.randint(3_000, 12_000) * MILLISECOND))
    for _ in range(chance.choice((0, 1, 2))):
        faults += _begun_anew(chance, plan, source=chance.randrange(sources))
    clients = [
        msgspec.structs.replace(one, events=_usable(one.events))
        for one in (_doubled(plan) if sources == 1 and latency < MOST_LATENCY else plan.clients)
    ]
    clients += [_barely_beating(chance, number, plan) for number in range(chance.randint(8, 16))]
    return msgspec.structs.replace(
        plan,
        # What is written again may be as old as the source's last offset, and nothing is promised beyond memory.
        config={name: told for name, told in plan.config.items() if name != "remember"},
        inputs=(Input(topic="spans.events"),),
        sources=sources,
        cadence=QUICK,
        latency=latency * MILLISECOND,
        decoding=decoding * MILLISECOND,
        most_records=500,
        clients=tuple(client for client in clients if client.events),
        faults=tuple(sorted((*plan.faults, *faults), key=lambda fault: fault.at)),
    )


def left(plan: Plan, chance: Random) -> Plan:
    """Workers are told to go, and come back, while the broker is slow: frames wait, and more come, while what is in
    hand is written; and whoever stays keeps what it has through one rebalance after the other.
    """
    workers = (0, *(plan.workers[1:] or (0,)))
    faults = [
        fault
        for _ in range(chance.randint(4, 9))
        for fault in _told_to_go(chance, plan.lasts * 7 // 10, worker=chance.randrange(len(workers)))
    ]
    return msgspec.structs.replace(
        plan,
        partitions=chance.choice((1, 2, 2)),
        workers=workers,
        sticky=True,
        clients=tuple(_doubled(plan)),
        faults=tuple(sorted((*plan.faults, *faults), key=lambda fault: fault.at)),
    )


def _told_to_go(chance: Random, until: int, *, worker: int) -> Iterator[Fault]:
    """One worker goes and comes back; the broker is slow when it does, since what is quick leaves nothing in hand."""
    at = chance.randint(3 * SECOND // MILLISECOND, until // MILLISECOND) * MILLISECOND
    lasts = chance.randint(1_000, 6_000) * MILLISECOND
    yield Fault(at=at, what=What.STOP, lasts=lasts, worker=worker)
    for moment in (at, at + lasts + SESSION):
        slow = chance.randint(1_000, 1_900) * MILLISECOND
        yield Fault(at=moment - chance.randint(0, 1_000) * MILLISECOND, what=What.SLOW, lasts=slow)


def _without_owner(chance: Random, lasts: int, *, source: int) -> Iterator[Fault]:
    """Nobody re-keys a source for a while; and perhaps again, while what has waited is written."""
    at = chance.randint(3 * SECOND // MILLISECOND, lasts * 7 // 10 // MILLISECOND) * MILLISECOND
    goes, stays = (What.KILL, What.KILL, What.STOP, What.STOP), (What.FREEZE, What.FREEZE, What.CUT, What.REBALANCE)
    what = chance.choice((*goes, *stays))
    where = None if what is What.CUT else chance.choice((None, *_REKEYING))
    if what in (What.STOP, What.REBALANCE) and chance.random() < 0.8:
        where = Where.FRAME_WAITS
        yield Fault(at=at, what=What.SLOW, lasts=chance.randint(1_000, 1_900) * MILLISECOND)
    away = chance.randint(*chance.choice(((1_000, 3_000), (8_000, 25_000)))) * MILLISECOND
    yield Fault(at=at, what=what, lasts=away, source=source, where=where)
    if chance.random() < 0.5:
        again, gone = at + away + chance.randint(0, 4_000) * MILLISECOND, chance.randint(1_000, 25_000) * MILLISECOND
        yield Fault(at=again, what=What.KILL, lasts=gone, source=source, where=Where.BETWEEN_EVIDENCE)


def _begun_anew(chance: Random, plan: Plan, *, source: int) -> Iterator[Fault]:
    """A worker begins anew while nobody re-keys a source, or once nobody could be heard: what it knew of either before
    is gone, and it must be told.
    """
    at = chance.randint(3 * SECOND // MILLISECOND, plan.lasts * 7 // 10 // MILLISECOND) * MILLISECOND
    away, until_then = chance.randint(500, 4_000) * MILLISECOND, chance.randint(0, 2_000) * MILLISECOND
    yield Fault(at=at, what=What.KILL, lasts=away, worker=chance.randrange(len(plan.workers)))
    if chance.random() < 0.5:
        gone = chance.randint(10_000, 25_000) * MILLISECOND
        yield Fault(at=at - until_then, what=What.KILL, lasts=gone, source=source)
    else:
        yield Fault(at=at + until_then, what=What.DOWN, lasts=chance.randint(3_000, 12_000) * MILLISECOND)


def _usable(events: tuple[Event, ...]) -> tuple[Event, ...]:
    return tuple(msgspec.structs.replace(one, to=0) for one in events if one.type is not None)


def _beating(chance: Random, number: int, begins: int, back: int) -> Client:
    """A client that beats until it ends, or dies, after all were back. Few die, so nobody takes it for an outage."""
    born = chance.randint(0, (begins - 5 * SECOND) // MILLISECOND) * MILLISECOND
    dies = back + chance.randint(8_000, 30_000) * MILLISECOND
    fields = {"heartbeat_interval_ms": BEAT // MILLISECOND}
    events = [Event(at=born, type="start", fields=fields)]
    events += [Event(at=at, type="heartbeat") for at in range(born + BEAT, dies, BEAT)]
    if number >= DEAD:
        events.append(Event(at=dies, type="end"))
    comeback = chance.randint(100, 1500) * MILLISECOND
    return Client(name=f"{chance.getrandbits(24):06x}-{number}", events=tuple(events), comeback=comeback)


def _barely_beating(chance: Random, number: int, plan: Plan) -> Client:
    """Each of its beats comes just before it would be missed: whoever believes too much, too early, closes it."""
    misses = plan.config["terms"]["heartbeat"]["misses"]
    lease = misses * SLOW_BEAT + SECOND
    fields = {"heartbeat_interval_ms": SLOW_BEAT // MILLISECOND}
    born = at = chance.randint(0, 5_000) * MILLISECOND
    events = [Event(at=at, type="start", fields=fields), Event(at=at + MILLISECOND, type="heartbeat")]
    while (at := at + lease - chance.randint(5, 100) * MILLISECOND) < min(plan.lasts, born + LONGEST) - SECOND:
        events.append(Event(at=at, type="heartbeat"))
    return Client(name=f"{chance.getrandbits(24):06x}-barely-{number}", events=tuple(events))


def _doubled(plan: Plan) -> Iterator[Client]:
    yield from plan.clients
    for client in plan.clients:
        yield msgspec.structs.replace(client, name=f"{client.name}-twin")


def _silenced(client: Client, at: int) -> Client:
    return msgspec.structs.replace(client, events=tuple(one for one in client.events if one.at < at))


def _with(plan: Plan, section: str, **told: object) -> dict[str, object]:
    return {**plan.config, section: {**plan.config.get(section, {}), **told}}
