"""`finalizer demo`: broker, worker and crowd together, the board while they run, the audit at the end."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import click
from aiokafka import AIOKafkaProducer
from rich.console import Console

from finalizer.cli.child import WorkerChild, flags
from finalizer.cli.demo.apps import Apps, Place
from finalizer.cli.demo.audit import Report, audit
from finalizer.cli.demo.board import PLAIN_WIDTH, Board, LiveBoard, PlainBoard, View, show_report
from finalizer.cli.demo.crowd import Crowd
from finalizer.cli.demo.ledger import Ledger
from finalizer.cli.demo.plans import Behaviour, Garbage, Plan, how_many, make_plans
from finalizer.cli.demo.roles import Role, make_roles
from finalizer.cli.demo.spools import spools
from finalizer.cli.follow import Follower
from finalizer.cli.interrupts import run_until_told
from finalizer.cli.kafka import ANSWER_SECONDS, Connection, kafka_client
from finalizer.cli.options import option
from finalizer.embedded import EmbeddedBroker
from finalizer.embedded.readiness import free_port
from finalizer.policy.load import Policy, load
from finalizer.shell.stop import Exit, Stop

LEAST_SPANS = 20
LOOK_SECONDS = 0.1
LAST_DEADLINES_SECONDS = 14.0
"""How long after the crowd's time the worker may take to close what is open: its longest term, and room."""
QUIET_SECONDS = 1.0
"""How long to listen for what should not come, after all has come."""
SESSION_SECONDS = 2.0
DELAYS_SHOWN = 2000


class Cast(NamedTuple):
    """What the crowd is going to do, for how long, by which policy. ``folder``: where apps keep their spools."""

    plans: Sequence[Plan]
    garbage: Sequence[Garbage]
    roles: Sequence[Role]
    seconds: float
    policy: Policy
    folder: Path

    @property
    def spans(self) -> int:
        """How many spans there will be."""
        return len(self.plans) + sum(len(role.parts) for role in self.roles)


@click.command("demo")
@option("seconds", type=click.FloatRange(min=2, max=600), default=25.0, help="How long clients are at work.")
@option("spans", type=click.IntRange(min=LEAST_SPANS), default=2000, help="How many spans they have.")
@option("seed", type=int, help="Makes the same crowd again.  [default: another each time]")
@option("plain", is_flag=True, help="One line a second instead of the board (as in a pipe).")
def command(seconds: float, spans: int, seed: int | None, *, plain: bool) -> int:
    """Show it at work: a broker, a worker and a crowd of clients, of which some crash.

    Most of the crowd are apps with the client, in processes of their own; some of those are killed, and some come back.
    Ends by itself, with a table that compares what truly happened to each client's spans with what was written. Exit
    code 0 if nothing is wrong, missing or there twice, else 1. It all runs on this machine and leaves nothing behind.
    """
    console = Console()
    plain = plain or not console.is_terminal
    if plain:
        console = Console(width=PLAIN_WIDTH, color_system=None)
    seed = time.time_ns() % 1_000_000 if seed is None else seed
    with (
        EmbeddedBroker() as broker,
        as_file(files(__package__) / "finalizer.yaml") as path,
        spools() as folder,
    ):
        rng, counts = random.Random(seed), how_many(spans)
        plans, garbage = make_plans(counts, seconds, rng)
        roles = make_roles(counts, seconds, rng)
        cast = Cast(plans, garbage, roles, seconds, load(path.read_text(), origin=str(path)), folder)
        connection, web_port = Connection(broker.bootstrap), free_port()
        settings = {
            "config": path,
            "broker": broker.bootstrap,
            "app_id": "finalizer-demo",
            "session_timeout": SESSION_SECONDS,
            "web_port": web_port,
        }
        with WorkerChild(flags(settings)) as worker, kafka_client(connection):
            board: Board = PlainBoard(console) if plain else LiveBoard(console)
            report = run_until_told(perform(cast, board, worker, connection, web_port=web_port))
            show_report(console, report)
            console.print(f"The same crowd again: finalizer demo --seed {seed}", highlight=False)
            if worker.exit_code != Exit.DONE:
                raise Stop(Exit.FAULT, f"The worker stopped with exit code {worker.exit_code}. {worker.last_words()}")
    return int(Exit.DONE if report.clean else Exit.CONFIGURATION)


async def perform(cast: Cast, board: Board, worker: WorkerChild, connection: Connection, *, web_port: int) -> Report:
    """Let the crowd play, stop the worker when all is closed (or cannot be any more), and compare."""
    outputs = cast.policy.outputs
    topics = [outputs.finalized.topic, outputs.dlq.topic, outputs.rejected.topic]
    garbage = [one.value for one in cast.garbage]
    topic = cast.policy.inputs[0].topic
    ledger = Ledger(outputs, garbage, spans=cast.spans)
    apps = Apps(cast.roles, Place(connection.broker, topic, cast.folder), tell=ledger.promise)
    with board:
        board.show(View(doing="starting the worker"))
        await worker.wait_until_ready(web_port)
        producer = AIOKafkaProducer(
            **connection.client_arguments, acks="all", linger_ms=20, request_timeout_ms=int(ANSWER_SECONDS * 1000)
        )
        async with Follower(connection, topics, from_beginning=True) as follower, producer:
            tasks: list[asyncio.Task[None]] = []
            try:
                board.show(View(doing="starting the apps"))
                await apps.get_ready()
                crowd = Crowd(producer, topic, plans=cast.plans, garbage=cast.garbage, epoch_ns=time.time_ns())
                for truth in crowd.truths:
                    ledger.promise(truth)
                works = (read(follower, ledger), crowd.run(), apps.play(ledger.is_closed))
                tasks += map(asyncio.create_task, works)
                await Watch(board, worker, crowd, apps, ledger=ledger).until_closed(tasks, seconds=cast.seconds)
                await asyncio.to_thread(worker.stop)
                async with asyncio.timeout(ANSWER_SECONDS):
                    await follower.caught_up()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await apps.end()
    rows = [behaviour.value for behaviour in Behaviour]
    truths = sorted(ledger.truths, key=lambda truth: rows.index(truth.behaviour))
    return audit(truths, ledger.written, garbage=garbage, garbage_row=Behaviour.GARBAGE.value)


async def read(follower: Follower, ledger: Ledger) -> None:
    """Enter everything into the ledger, for ever."""
    async for records in follower.batches():
        for record in records:
            ledger.take(record)


class Watch:
    """Keeps the board up to date while the crowd plays, and ends the demo when its child or its crowd fails."""

    def __init__(self, board: Board, worker: WorkerChild, crowd: Crowd, apps: Apps, *, ledger: Ledger) -> None:
        self._board = board
        self._worker = worker
        self._crowd = crowd
        self._apps = apps
        self._ledger = ledger
        self._began = time.monotonic()
        self._events: deque[tuple[float, int]] = deque([(0.0, 0)], maxlen=int(1 / LOOK_SECONDS))

    async def until_closed(self, tasks: Sequence[asyncio.Task[None]], *, seconds: float) -> None:
        """Return a moment after everything that must come has come, or when it has had its time."""
        complete_since: float | None = None
        while True:
            now = time.monotonic() - self._began
            for task in tasks:
                if task.done():
                    task.result()
            self._worker.check()
            playing = not (self._crowd.done and self._ledger.told_all)
            self._board.show(self._view(now, "clients at work" if playing else "waiting for the last deadlines"))
            if not self._ledger.complete:
                complete_since = None
            elif complete_since is None:
                complete_since = now
            elif now - complete_since >= QUIET_SECONDS:
                return
            if now > seconds + LAST_DEADLINES_SECONDS:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _view(self, now: float, doing: str) -> View:
        then, events_then = self._events[0]
        events = self._crowd.events + self._apps.events
        self._events.append((now, events))
        delays = self._ledger.delays[-DELAYS_SHOWN:]
        percentiles = quantiles(delays, n=100) if len(delays) > 1 else None
        return View(
            doing=doing,
            seconds=now,
            events=events,
            events_per_second=(events - events_then) / (now - then) if now > then else 0.0,
            open=len(self._crowd.started) + self._apps.begun - self._ledger.closed,
            causes=self._ledger.causes,
            letters=len(self._ledger.written.letters),
            revised=self._ledger.revised,
            rejected=len(self._ledger.written.rejected),
            delays=None if percentiles is None else (percentiles[49], percentiles[98]),
        )
