"""`finalizer bench`: what a worker takes on this machine, load by load, beside its peers; on a broker of its own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from finalizer.bench.load import LOADS, Load
from finalizer.bench.rounds import Measured, measured
from finalizer.bench.table import text
from finalizer.cli.options import option
from finalizer.embedded import EmbeddedBroker
from finalizer.shell.stop import Exit

SCALE = 0.1


@click.command("bench")
@option("loads", default="mixed,worst,short", help="What to measure, with commas between.")
@option("rounds", type=click.IntRange(min=1), default=1, help="How often, ours and the peers in turn.")
@option("scale", type=click.FloatRange(min=0, min_open=True), default=SCALE, help="Everything so many times as large.")
def command(loads: str, rounds: int, scale: float) -> int:
    """Measure a worker on this machine, load by load, beside stock Faust and bare reading.

    On an embedded broker, which keeps everything in memory and has no transactions: figures are comparable with each
    other, not with those of Apache Kafka. A checkout measures on that: `make bench`.
    """
    chosen = [chosen_load(name.strip()).scaled(scale) for name in loads.split(",")]
    with tempfile.TemporaryDirectory(prefix="finalizer-bench-") as folder, EmbeddedBroker() as broker:
        click.echo("On the embedded broker, effectively once; not on Apache Kafka.")
        done = asyncio.run(all_of(broker.bootstrap, chosen, rounds, folder=Path(folder)))
    click.echo(f"\n{text(done)}")
    complete = all(len(runs) == rounds for one in done for runs in one.figures.values()) and all(
        one.figures for one in done
    )
    return int(Exit.DONE if complete else Exit.FAULT)


def chosen_load(name: str) -> Load:
    """The load of this name. Raises ``UsageError``."""
    if name not in LOADS:
        raise click.UsageError(f"There is no load {name!r}; there are {', '.join(LOADS)}.")
    return LOADS[name]


async def all_of(bootstrap: str, loads: Sequence[Load], rounds: int, *, folder: Path) -> list[Measured]:
    """Measure one load after the other."""
    return [await measured(bootstrap, load, rounds, folder=folder, say=click.echo) for load in loads]
