"""The clients that no real one is: they carry out their plans on a real topic, event by event."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaProducer

from finalizer.cli.demo.audit import RightEnding, Truth
from finalizer.cli.demo.plans import SECOND, Garbage, Plan, Step

LONGEST_NAP_SECONDS = 0.05


class Due(NamedTuple):
    """Something to send, ``at`` seconds after the crowd set out. ``order`` keeps the heap from comparing plans."""

    at: float
    order: int
    plan: Plan | Garbage
    step: Step | None


class Crowd:
    """All of them. ``epoch_ns``: the wall time at which they set out; `run` must be called then."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        *,
        plans: Sequence[Plan],
        garbage: Sequence[Garbage],
        epoch_ns: int,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._epoch_ns = epoch_ns
        self._began = time.monotonic()
        self._order = count()
        self._agenda = [self._due(plan.birth + step.send, plan, step) for plan in plans for step in plan.steps]
        self._agenda += [self._due(one.birth, one, None) for one in garbage]
        heapq.heapify(self._agenda)
        self._failure: BaseException | None = None
        self.truths = [truth_of(plan, epoch_ns) for plan in plans]
        self.events = 0
        """Records that the broker has acknowledged."""
        self.started: set[str] = set()
        """Spans of which something was sent."""

    @property
    def done(self) -> bool:
        """Whether all plans are carried out."""
        return not self._agenda

    async def run(self) -> None:
        """Return when all plans are carried out. Raises the producer's ``KafkaError`` if the broker fails."""
        while not self.done:
            now = time.monotonic() - self._began
            while self._agenda and self._agenda[0].at <= now:
                await self._send(heapq.heappop(self._agenda))
            if self._failure is not None:
                raise self._failure
            if self._agenda:
                await asyncio.sleep(min(max(self._agenda[0].at - now, 0.0), LONGEST_NAP_SECONDS))
        await self._producer.flush()
        if self._failure is not None:
            raise self._failure

    def _due(self, at: float, plan: Plan | Garbage, step: Step | None) -> Due:
        return Due(at, next(self._order), plan, step)

    async def _send(self, due: Due) -> None:
        if isinstance(due.plan, Garbage):
            await self._produce(None, due.plan.value, None)
            return
        assert due.step is not None
        plan, value = due.plan, event(due.plan, due.step, self._epoch_ns)
        # A clock that is off is off in the record's own timestamp too.
        timestamp = (time.time_ns() + plan.skew) // 1_000_000 if plan.skew else None
        self.started.add(span_of(plan))
        for _ in range(plan.copies):
            await self._produce(plan.trace_id.encode(), value, timestamp)

    async def _produce(self, key: bytes | None, value: bytes, timestamp_ms: int | None) -> None:
        answer = await self._producer.send(self._topic, value, key=key, timestamp_ms=timestamp_ms)
        answer.add_done_callback(self._acknowledged)

    def _acknowledged(self, answer: asyncio.Future[Any]) -> None:
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            self.events += 1
        else:
            self._failure = self._failure or error


def event(plan: Plan, step: Step, epoch_ns: int) -> bytes:
    """One step as a native event, with the times of the client's own clock."""
    at = moment(plan, step.at, epoch_ns)
    ids = {"trace_id": plan.trace_id, "span_id": plan.span_id, "time_unix_nano": str(at)}
    return orjson.dumps({"v": 1, **step.fields, **ids})


def moment(plan: Plan, seconds: float, epoch_ns: int) -> int:
    """So many seconds after the span's birth, on the client's clock, in nanoseconds."""
    return epoch_ns + int((plan.birth + seconds) * SECOND) + plan.skew


def span_of(plan: Plan) -> str:
    """The span as the audit and its reader know it."""
    return f"{plan.trace_id}/{plan.span_id}"


def truth_of(plan: Plan, epoch_ns: int) -> Truth:
    """What will have happened to the span once its plan is carried out."""
    ends = [(final.cause, moment(plan, final.end, epoch_ns)) for final in plan.finals]
    return Truth(
        plan.behaviour.value,
        span_of(plan),
        start_at=moment(plan, 0.0, epoch_ns),
        finals=tuple(RightEnding(cause, at, at) for cause, at in ends),
        letters=plan.letters,
    )
