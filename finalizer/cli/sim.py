"""`finalizer sim`: made worlds, seed by seed, in all processes that the machine has room for."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from finalizer.cli.options import option
from finalizer.shell.stop import Exit, Stop
from finalizer.sim.making import make_plan
from finalizer.sim.plan import Plan
from finalizer.sim.shrink import shrunk
from finalizer.sim.story import StoryError, from_story, to_story
from finalizer.sim.trial import Trial, tried

CHUNK = 10
"""Worlds that one process makes before it is asked again."""
MOST_SHOWN = 10
"""Seeds of wrong worlds that are told one by one."""
PLAIN_WIDTH = 118


@click.command("sim")
@option("seed", type=click.IntRange(min=0), default=0, help="Seed of the first world.")
@option("worlds", type=click.IntRange(min=1), default=100, help="How many worlds, of one seed after the other.")
@option("jobs", type=click.IntRange(min=1), help="Processes to make them in.  [default: one for each processor]")
@option("story", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Tell this world instead (YAML).")
def command(seed: int, worlds: int, jobs: int | None, story: Path | None) -> int:
    """Simulate worlds with every fault, and compare what was written with the truth.

    Clients, workers and a broker in virtual time, judged by an oracle that knows what truly happened. Exit code 0 if
    nothing is wrong in any world, else 1: the command that repeats the world is told, and the shortest story in which
    the same goes wrong.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH, color_system=None)
    if story is not None:
        return told_story(console, read_story(story))
    began = time.monotonic()
    tally: Counter[str] = Counter()
    wrong: list[Trial] = []
    with progress(console) as bar:
        task = bar.add_task("worlds", total=worlds, wrong=0)
        for trial in trials(range(seed, seed + worlds), min(jobs or os.cpu_count() or 1, -(-worlds // CHUNK))):
            tally += trial.tally
            if trial.findings:
                wrong.append(trial)
            bar.update(task, advance=1, wrong=len(wrong))
    seconds = time.monotonic() - began
    wrong.sort(key=lambda trial: trial.seed)
    for trial in wrong[:MOST_SHOWN]:
        show_wrong(console, trial)
    if wrong:
        show_shrunk(console, wrong[0])
    show_summary(console, worlds, len(wrong), tally, seconds=seconds)
    return int(Exit.CONFIGURATION if wrong else Exit.DONE)


def read_story(path: Path) -> Plan:
    """The plan in this file. Raises `Stop`."""
    try:
        return from_story(path.read_text(encoding="utf-8"))
    except (StoryError, UnicodeDecodeError) as problem:
        raise Stop(Exit.CONFIGURATION, f"{path} is no story: {problem}.") from None


def told_story(console: Console, plan: Plan) -> int:
    """Tell one world; returns the exit code."""
    trial = tried(plan)
    for trouble, what in trial.findings:
        console.print(f"{trouble.value}: {what}", highlight=False, markup=False)
    console.print("wrong" if trial.findings else "nothing is wrong", highlight=False)
    return int(Exit.CONFIGURATION if trial.findings else Exit.DONE)


def trials(seeds: Sequence[int], jobs: int) -> Iterator[Trial]:
    """The trials of all seeds, as they are done."""
    if jobs == 1:
        yield from (tried(make_plan(seed)) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin) as pool:
        waiting = [pool.submit(_some, seeds[first : first + CHUNK]) for first in range(0, len(seeds), CHUNK)]
        try:
            for done in as_completed(waiting):
                yield from done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _some(seeds: Sequence[int]) -> list[Trial]:
    return [tried(make_plan(seed)) for seed in seeds]


def _begin() -> None:
    """Ctrl-C is for whoever has started us; who ends however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(Exit.FAULT)


def progress(console: Console) -> Progress:
    """The bar."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[wrong]} wrong"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def show_wrong(console: Console, trial: Trial) -> None:
    """What is wrong in one world, and how to see it again."""
    console.print(f"seed {trial.seed}:", highlight=False)
    for trouble, what in trial.findings[:MOST_SHOWN]:
        console.print(f"  {trouble.value}: {what}", highlight=False, markup=False)
    console.print(f"  again: finalizer sim --seed {trial.seed} --worlds 1\n", highlight=False)


def show_shrunk(console: Console, trial: Trial) -> None:
    """The shortest story in which the first finding is found again."""
    plan = shrunk(make_plan(trial.seed), trial.findings[0].trouble)
    console.print(f"Seed {trial.seed} as a short story (keep it in a file: finalizer sim --story FILE):\n")
    console.print(to_story(plan, tried(plan).findings), highlight=False, markup=False, soft_wrap=True)


def show_summary(console: Console, worlds: int, wrong: int, tally: Counter[str], *, seconds: float) -> None:
    """The figures of all worlds together."""
    counted = ", ".join(f"{count:,} {name}" for name, count in sorted(tally.items()))
    console.print(f"In them: {counted}.", highlight=False)
    console.print(f"{worlds:,} worlds, {wrong:,} wrong, {worlds / seconds:.1f} worlds/s", highlight=False)
