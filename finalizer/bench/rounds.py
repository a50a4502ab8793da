"""Rounds of one load on one broker: ours and the peers in turn, each on the same records."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from finalizer.bench.load import PARTITIONS, Load, Scene, Shape
from finalizer.bench.process import Ended
from finalizer.bench.run import Figures, measure, worker
from finalizer.bench.scenes import Restores, expiry, steady
from finalizer.bench.topic import Filled, WrongOutput, fill

STOCK_SHARE: Final = 25
"""The stock agent gets one in so many of our spans: it is that much slower."""
STOCK_QUIET_SECONDS: Final = 15.0
"""It works that long between the first spans, which end at once, and the next ones that end."""
_DEFAULT_MEMORY: Final = "the defaults (presumed 24h, finished 15m, 512MiB)"
OURS: Final = "span-finalizer"
FLOOR: Final = "floor: aiokafka getmany, counting"
STOCK: Final = "stock Faust agent + Table"

Say = Callable[[str], None]
Side = Callable[[int], Awaitable[Figures]]


class Measured(NamedTuple):
    """A load, what it was told, and the figures of each round by who ran. A run with a wrong output has none."""

    load: Load
    stated: list[str]
    figures: dict[str, list[Figures]]


async def measured(bootstrap: str, load: Load, rounds: int, *, folder: Path, say: Say) -> Measured:
    """Some rounds of a load. What has no figure is told, and left out."""
    name = f"bench-{load.name}-{uuid.uuid4().hex[:6]}"
    done = Measured(load, [], {})
    say(f"\n{load.name}: {load.meaning}\n  {load.scene.value}")
    sides = await _SCENES[load.scene](_Stage(bootstrap, load, name, folder, done.stated))
    for number in range(rounds):
        for who, run in sides.items():
            try:
                figures = await run(number)
            except (WrongOutput, Ended) as problem:
                say(f"  round {number + 1}, {who}: NO FIGURE: {problem}")
                continue
            done.figures.setdefault(who, []).append(figures)
            say(f"  round {number + 1}, {who}: {told(figures)}")
    say(f"  {'; '.join(done.stated)}")
    return done


class _Stage(NamedTuple):
    bootstrap: str
    load: Load
    name: str
    folder: Path
    stated: list[str]

    def state(self, filled: Filled) -> None:
        """Say once what the load is."""
        if not self.stated:
            self.stated.append(stated(filled))


async def _read(stage: _Stage) -> dict[str, Side]:
    bootstrap, load, name, folder, _ = stage
    filled = await fill(bootstrap, name, load)
    stage.state(filled)
    sides: dict[str, Side] = {OURS: lambda number: _ours(bootstrap, filled, number, folder)}
    if load.workers > 1:
        return sides
    sides[FLOOR] = lambda _: _floor(bootstrap, filled.topic, filled.events)
    if load.shape is Shape.NATIVE:
        # The stock agent closes nothing, so nothing dies in what it is given.
        less = replace(load.scaled(1 / STOCK_SHARE), dying=False, tail=True, quiet_seconds=STOCK_QUIET_SECONDS)
        sides[STOCK] = lambda number: _stock(bootstrap, less, f"{name}-{number}", folder)
    return sides


async def _restore(stage: _Stage) -> dict[str, Side]:
    bootstrap, load, name, folder, _ = stage
    filled = await fill(bootstrap, name, load)
    stage.state(filled)
    restores = Restores(bootstrap, filled, folder)
    await restores.prepare()
    return {
        OURS: lambda _: restores.again(),
        FLOOR: lambda _: _floor(bootstrap, restores.changelog, load.open_spans + load.standing),
    }


def _moments(scene: Callable[[str, Load, str, Path], Awaitable[tuple[Filled, Figures]]]) -> Prepare:
    async def prepared(stage: _Stage) -> dict[str, Side]:
        async def side(number: int) -> Figures:
            filled, figures = await scene(stage.bootstrap, stage.load, f"{stage.name}-{number}", stage.folder)
            stage.state(filled)
            return figures

        return {OURS: side}

    return prepared


Prepare = Callable[[_Stage], Awaitable[dict[str, Side]]]
_SCENES: Final[dict[Scene, Prepare]] = {
    Scene.READ: _read,
    Scene.RESTORE: _restore,
    Scene.DUE: _moments(expiry),
    Scene.LIVE: _moments(steady),
}


def stated(filled: Filled) -> str:
    """What a load is, so that somebody else can compare."""
    load = filled.load
    return (
        f"{load.spans + load.standing:,} spans, {load.open_spans + load.standing:,} open, {filled.records:,} records "
        f"of {filled.mean_bytes:.0f} bytes (start {filled.start_bytes}), {PARTITIONS} partitions; "
        f"remember: {load.said_of('remember') or _DEFAULT_MEMORY}; include: all; "
        f"safety: {load.said_of('safety') or 'the defaults'}"
    )


def told(figures: Figures) -> str:
    """One run in a line."""
    return (
        f"{figures.events_a_second:,.0f}/s, {figures.cpu_seconds_a_million:.2f} CPU s/M, "
        f"peak {figures.peak_mib:,.0f} MiB{'; ' * bool(figures.note)}{figures.note}"
    )


async def _ours(bootstrap: str, filled: Filled, number: int, folder: Path) -> Figures:
    app_id = f"{filled.topic}-{number}"
    command = worker(bootstrap, filled.load, filled.topic, folder=folder, app_id=app_id)
    return await measure(bootstrap, filled, f"{app_id}.finalized", commands=[command] * filled.load.workers)


async def _floor(bootstrap: str, topic: str, events: int) -> Figures:
    command = [sys.executable, "-m", "finalizer.bench.floor", bootstrap, topic]
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await running.communicate()
    counted = json.loads(said)
    each = events / max(counted["seconds"], 0.001)
    return Figures(each, counted["cpu"] / events * 1e6, counted["peak"], f"{counted['records']:,} records")


async def _stock(bootstrap: str, load: Load, topic: str, folder: Path) -> Figures:
    filled = await fill(bootstrap, topic, load)
    environment = {
        "BENCH_BROKER": bootstrap,
        "BENCH_TOPIC": topic,
        "BENCH_PARTITIONS": str(PARTITIONS),
        "F_DATADIR": str(folder / topic),
    }
    command = [sys.executable, "-m", "finalizer.bench.stock", "worker", "-l", "warn", "--without-web"]
    return await measure(bootstrap, filled, f"{topic}.stock", commands=[command], environment=environment)
