"""What a consumer that reads batches hands out, against what the same aiokafka hands out by itself."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from aiokafka import ConsumerRecord
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import CorruptRecordException
from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.shell.reading import read_batches
from tests.shell.batch_logs import PLACE, Batch, Log, logs, v2

MANY = [b"a", b"b", b"c", b"d", b"e"]
"""Enough to be read whole."""


class Polled(NamedTuple):
    """One poll: its records, and the position after it."""

    records: list[Any]
    position: int


class Broker:
    """Answers the fetches of a consumer out of a log, and never an empty one: a real one would wait."""

    def __init__(self, log: Log) -> None:
        self._loop = asyncio.get_running_loop()
        self._metadata_max_age_ms = 300_000
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: 0)
        self._log = log

    async def send(self, _node: int, request: Any) -> Any:
        """The answer to a fetch: whole batches, from the one on that holds what is asked for."""
        ((topic, ((partition, offset, _),)),) = request.topics
        data = b"".join(batch.data for batch in self._log.batches if batch.following > offset)
        if not data:
            await asyncio.Event().wait()
        end, aborted = self._log.end, self._log.aborted
        return SimpleNamespace(API_VERSION=4, topics=[(topic, [(partition, 0, end, end, aborted, data)])])


async def polls(
    log: Log, *, ours: bool, begin: int = 0, most: int | None = None, committed: bool = True
) -> list[Polled]:
    """All polls of a log, until its end was reached or reading it failed; then the last one holds the error."""
    subscription = SubscriptionState()
    subscription.assign_from_user([PLACE])
    assignment = subscription.subscription.assignment
    state = assignment.state_value(PLACE)
    state.seek(begin)
    level = "read_committed" if committed else "read_uncommitted"
    fetcher = Fetcher(Broker(log), subscription, isolation_level=level)
    if ours:
        read_batches(SimpleNamespace(_fetcher=fetcher))
    found: list[Polled] = []
    try:
        async with asyncio.timeout(10):
            while state.position < log.end:
                answer = await fetcher.fetched_records([PLACE], timeout=0.002, max_records=most)
                found.append(Polled(answer.get(PLACE, []), state.position))
    except CorruptRecordException as error:
        found.append(Polled([str(error)], state.position))
    finally:
        await fetcher.close()
    return [poll for poll in found if poll.records or poll.position != begin]


def said(poll: Polled) -> tuple[list[Any], int]:
    """What there is to know of a poll."""
    records = [
        record
        if isinstance(record, str)
        else (
            record.offset,
            record.timestamp,
            record.timestamp_type,
            record.key,
            record.value,
            list(record.headers),
        )
        for record in poll.records
    ]
    return records, poll.position


@settings(max_examples=300, deadline=None)
@given(log=logs(), data=st.data())
def test_a_batch_read_whole_is_what_its_records_are_one_by_one(log: Log, data: st.DataObject) -> None:
    """Records, in whatever pieces they are asked for, and positions are aiokafka's: aborted transactions, markers,
    what compaction left, compression, the broker's timestamps, messages of the old formats."""
    begin = data.draw(st.integers(0, max(0, log.end - 1)))
    most, committed = data.draw(st.none() | st.integers(1, 7)), data.draw(st.booleans())
    theirs = asyncio.run(polls(log, ours=False, begin=begin, most=most, committed=committed))
    ours = asyncio.run(polls(log, ours=True, begin=begin, most=most, committed=committed))
    assert [said(poll) for poll in ours] == [said(poll) for poll in theirs]


def test_records_are_no_consumer_records() -> None:
    """aiokafka's insides are as this leans on them. If not it would go on as before, and more slowly, or fail."""
    log = Log([v2(0, MANY), v2(5, [b"f"])])
    (ours,) = asyncio.run(polls(log, ours=True))
    (theirs,) = asyncio.run(polls(log, ours=False))
    assert [record.value for record in ours.records] == [*MANY, b"f"]
    assert not any(isinstance(record, ConsumerRecord) for record in ours.records)
    assert all(isinstance(record, ConsumerRecord) for record in theirs.records)


@pytest.mark.parametrize("broken", [0, 1])
def test_a_corrupt_batch_is_an_error_and_nothing_of_it_is_read(broken: int) -> None:
    """What was read on a bad wire or disk is never decided; what stands before it is read again with it."""
    batches = [v2(0, MANY), v2(5, MANY)]
    begin, following, data = batches[broken]
    batches[broken] = Batch(begin, following, data[:-1] + bytes([data[-1] ^ 1]))
    for most in (None, 1):
        theirs = asyncio.run(polls(Log(batches), ours=False, most=most))
        ours = asyncio.run(polls(Log(batches), ours=True, most=most))
        assert [said(poll) for poll in ours] == [said(poll) for poll in theirs]
        assert "Invalid CRC" in ours[-1].records[0]
