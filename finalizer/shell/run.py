"""A worker from its first look at the broker to its exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Coroutine
from functools import partial
from importlib.util import find_spec
from typing import Any, cast

from finalizer import RUNNING, __version__
from finalizer.codecs.otlp import JSON, PROTO, encode_proto, json_within
from finalizer.compiled import Running
from finalizer.pipeline import Encoding, Topic
from finalizer.policy import schema
from finalizer.shell import logs
from finalizer.shell.app import App, build_app, stop_app
from finalizer.shell.assignment import Assignment
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.control import Control
from finalizer.shell.decoders import direct_decoders, source_decoders
from finalizer.shell.dry_run import run_dry
from finalizer.shell.frames import FrameConsumer
from finalizer.shell.instance_rejects import InstanceRejects
from finalizer.shell.instances import InstanceLog
from finalizer.shell.membership import Membership
from finalizer.shell.metrics import About, Metrics
from finalizer.shell.outbox import HEADERS_BYTES
from finalizer.shell.ready import Making
from finalizer.shell.refusals import stop_for
from finalizer.shell.rekey import Rekey
from finalizer.shell.settings import Settings
from finalizer.shell.status import Status
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.tasks import ended
from finalizer.shell.topics import Facts, prepare
from finalizer.shell.web import Web

log = logs.get("worker")

EXIT_SECONDS = 20.0
"""A worker that was told to stop has ended so soon, whatever it waits for: before whoever told it (Kubernetes: 30 s, a
pod's usual grace) kills it."""
STOP_SECONDS = 3.0
"""For the Kafka client to end in good order: without a broker it never does, and everything decided is durable."""
COLLECT_AFTER = (200_000, 250, 100)
"""Collector thresholds: what a frame allocates is freed by counting, so that young collections only cost (a third of
the time of deciding, at Python's defaults). One of so many objects stops the loop for some 30 ms."""


def run_worker(settings: Settings, *, dry_run: bool = False) -> int:
    """Run a worker until it is told to stop (SIGTERM, SIGINT) or must; returns the exit code."""
    gc.collect()
    gc.freeze()  # what importing made is here to stay: the first collection need not visit it
    gc.set_threshold(*COLLECT_AFTER)
    if dry_run:
        return run_dry(settings, direct_decoders(settings.policy))
    try:
        return asyncio.run(_run(settings))
    except Stop as stop:
        log.error("stopped", stop.sentence, exit=int(stop.code))  # noqa: TRY400 - a sentence, never a trace
        return int(stop.code)


async def _run(settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    facts = await _unless_asked(prepare(settings), asked)
    if facts is None:
        log.info("stopped", "as asked, before anything was read")
        return int(Exit.DONE)
    broker_time = BrokerTime()
    about = About(policy=settings.policy.fingerprint, delivery=facts.delivery.value, app_id=settings.app_id)
    rules = ["default", *(rule.name for rule in settings.policy.rules)]
    metrics = Metrics(inputs=settings.heard, rules=rules, about=about)
    encoding = _encoding(settings, facts)
    making = Making(
        settings,
        facts,
        decoders=direct_decoders(settings.policy),
        encoding=encoding,
        broker_time=broker_time,
        metrics=metrics,
    )
    owner = Assignment(making)
    if facts.evidence is not None:
        owner.rekey = Rekey(
            settings,
            facts,
            facts.evidence,
            decoders=source_decoders(settings.policy),
            rejected_bytes=encoding.rejected_bytes,
            broker_time=broker_time,
            metrics=metrics,
            polling=owner,
            fail=owner.fail,
        )
    if RUNNING is not Running.COMPILED:
        log.warning("not_compiled", RUNNING.sentence)
    app = build_app(settings, facts, owner)
    status = Status(owner, broker_time)
    metrics.watch(status)
    web = Web(settings.web_bind, settings.web_port, metrics=metrics, health=status, about=about)
    await web.start()
    log.info(
        "starting",
        "reading " + ", ".join(settings.named),
        version=__version__,
        running=RUNNING.value,
        broker=settings.broker,
        app_id=settings.app_id,
        delivery=facts.delivery.value,
        partitions=facts.partitions,
        web=f"http://{settings.web_bind}:{web.port}",
    )
    following = [asyncio.create_task(Control(settings, making.releases, broker_time).follow())]
    if making.instances is not None and settings.instances is not None:
        processes = InstanceLog(
            settings, settings.instances, making.instances, broker_time=broker_time, metrics=metrics
        )
        rejects = InstanceRejects(
            settings,
            facts,
            settings.instances,
            rejected_bytes=encoding.rejected_bytes,
            broker_time=broker_time,
            metrics=metrics,
        )
        following += [asyncio.create_task(processes.follow()), asyncio.create_task(rejects.follow())]
    for one in following:
        one.add_done_callback(lambda task: None if task.cancelled() else owner.fail(task.exception()))
    try:
        return await _serve(app, owner, asked, status)
    finally:
        await ended(following)
        await web.stop()


async def _serve(app: App, owner: Assignment, asked: asyncio.Event, status: Status) -> int:
    starting = asyncio.ensure_future(app.start())
    starting.add_done_callback(lambda task: None if task.cancelled() else owner.fail(task.exception()))
    owner.consumer = cast("FrameConsumer", app.consumer)
    owner.membership = Membership(owner.consumer, owner.making.settings)
    membership = asyncio.ensure_future(owner.membership.ended())
    membership.add_done_callback(lambda task: None if task.cancelled() else owner.fail(task.result()))
    waiting = asyncio.ensure_future(asked.wait())
    crashed = asyncio.ensure_future(app.wait_until_stopped())
    ends: set[asyncio.Future[Any]] = {waiting, crashed, owner.stopped}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    stop = owner.stopped.result() if owner.stopped.done() else None
    if stop is None and not asked.is_set():
        reason = app.crash_reason
        words = "the Kafka client stopped"
        stop = Stop(Exit.FAULT, words) if reason is None else stop_for(reason, words)
    status.stopping = "stopping" if stop is None else stop.sentence
    began = time.monotonic()
    code = Exit.DONE if stop is None else stop.code
    asyncio.get_running_loop().call_later(EXIT_SECONDS, _abandon, code, "the worker")
    closing = asyncio.ensure_future(owner.close())
    await asyncio.wait([closing])
    _tell_of(closing)
    clean = await stop_app(app, STOP_SECONDS)
    for task in (starting, membership, waiting, crashed):
        task.cancel()
    if stop is not None:
        log.error("stopped", stop.sentence, exit=int(stop.code))
    else:
        told = "everything decided is durable"
        if owner.unwritten:
            told = f"what could not be written of partitions {owner.unwritten} is decided again, and nothing is lost"
        log.info("stopped", f"as asked; {told}", seconds=round(time.monotonic() - began, 2))
    if not clean:
        _abandon(code, "the Kafka client")
    return int(code)


def _tell_of(closing: asyncio.Future[None]) -> None:
    """What fails while a worker closes changes nothing: it says why it ends, and what is not durable is read again."""
    error = None if closing.cancelled() else closing.exception()
    if closing.cancelled() or error is not None:
        log.warning("unclosed", "not everything was closed in good order; what is not durable is read again", exc=error)


def _abandon(code: Exit, what: str) -> None:
    log.warning("abandoned", f"{what} did not stop in time and was left behind; nothing that was decided is lost")
    os._exit(int(code))


async def _unless_asked(facts: Coroutine[Any, Any, Facts], asked: asyncio.Event) -> Facts | None:
    """What was found; None if the worker was asked to stop before that."""
    preparing, waiting = asyncio.ensure_future(facts), asyncio.ensure_future(asked.wait())
    await asyncio.wait([preparing, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if preparing.done():
        return preparing.result()
    await ended([preparing])
    return None


def _encoding(settings: Settings, facts: Facts) -> Encoding:
    limit, letters, rejects = (facts.max_bytes[topic] - HEADERS_BYTES for topic in Topic)
    if settings.policy.outputs.finalized.encoding is not schema.Encoding.OTLP_PROTO:
        return Encoding(json_within(limit), JSON, letters, rejects)
    if find_spec("opentelemetry.proto") is None:
        raise Stop(Exit.CONFIGURATION, "otlp_proto needs opentelemetry-proto: pip install 'span-finalizer[otlp]'")
    return Encoding(partial(encode_proto, max_bytes=limit), PROTO, letters, rejects)
