"""One source partition and the frames that reach it while it is left. What would need Kafka is stood in for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.parts import Part
from finalizer.core.model import Coordinates
from finalizer.core.terms import SECOND
from finalizer.following import Hole
from finalizer.policy.load import load
from finalizer.rekeying import Entry, Limits, Rekeying
from finalizer.shell.source import Source
from tests.core.making import EPOCH
from tests.shell.polled import frame

PLACE = TP("logs", 0)
DECODER = NativeDecoder()


class Writing:
    """Takes evidence, and answers when it is let."""

    def __init__(self) -> None:
        self.written: list[Entry] = []
        self.asked = asyncio.Event()
        self.let = asyncio.Event()

    async def write(self, entries: Sequence[Entry], rejected: Sequence[object]) -> None:
        assert not rejected
        self.asked.set()
        await self.let.wait()
        self.written += entries


def source(writing: Writing, doubts: list[BaseException]) -> Source:
    """A source that has begun."""

    def alone(value: bytes | None, at: Coordinates) -> Sequence[Part]:
        return (DECODER.decode(value, at),)

    def never(*what: Any) -> None:
        raise AssertionError(what)

    rekeying = Rekeying(
        PLACE,
        load("inputs: [{topic: logs, rekey: always}]\n"),
        position=0,
        decode=alone,
        limits=Limits(),
        put_aside=never,
    )
    rekeying.assigned(EPOCH, log_end=100, asked_at=EPOCH)
    polling = SimpleNamespace(hold=lambda *_: None, release=lambda *_: None)
    time: Any = SimpleNamespace(at=lambda _: EPOCH + SECOND)
    metrics: Any = SimpleNamespace(apply=lambda _: None)
    writer: Any = writing
    begun = Source(
        rekeying, writer, polling=polling, doubt=lambda _, why: doubts.append(why), broker_time=time, metrics=metrics
    )
    begun.start(1)
    return begun


async def test_what_comes_after_a_dropped_frame_is_dropped() -> None:
    """While the group in hand is written before a source is left, what waits is dropped, and what comes then, too: it
    would be acknowledged in the place of what was dropped, and that be lost."""
    writing = Writing()
    leaving = source(writing, [])
    event = SimpleNamespace(ack=lambda: None)
    leaving.accept(event, frame(PLACE, 0, 5))
    await writing.asked.wait()
    leaving.accept(event, frame(PLACE, 5, 9))
    quiescing = asyncio.create_task(leaving.quiesce(10))
    await asyncio.sleep(0)
    leaving.accept(event, frame(PLACE, 9, 12))
    writing.let.set()
    await quiescing
    assert len(writing.written) == 5
    assert leaving.rekeying.decided == 4
    leaving.start(2)
    acknowledged = asyncio.Event()
    leaving.accept(SimpleNamespace(ack=acknowledged.set), frame(PLACE, 5, 12, generation=2))
    await asyncio.wait_for(acknowledged.wait(), 10)
    await leaving.stop()
    assert len(writing.written) == 12


async def test_a_hole_is_told_once() -> None:
    """Frames behind a missing one are all behind the same hole: it is one doubt, and two would stop the worker."""
    doubts = list[BaseException]()
    begun = source(Writing(), doubts)
    event = SimpleNamespace(ack=lambda: None)
    for begin, end in ((0, 5), (7, 9), (9, 12)):
        begun.accept(event, frame(PLACE, begin, end))
    await begun.stop()
    assert [type(one) for one in doubts] == [Hole]
