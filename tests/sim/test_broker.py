"""The simulated broker and its group keep the rules of Kafka that the promises rest on."""

from __future__ import annotations

import pytest

from finalizer.changelog import Change
from finalizer.core.terms import SECOND
from finalizer.pipeline import Output, Topic
from finalizer.sim.broker import TRANSACTION_TIMEOUT, Broker, Fenced, Log
from finalizer.sim.group import SESSION, Answer, Group

OUTPUT = Output(Topic.FINALIZED, b"key", b"value", ())


def new_broker() -> Broker:
    """One topic, one partition."""
    return Broker(["spans.events"], 1)


def write(broker: Broker, epoch: int | None, *changes: Change, told: list[str] | None = None, now: int = 0) -> None:
    """An output and a batch of the changelog."""
    broker.send(0, epoch, [OUTPUT], now=now)
    broker.log(0, epoch, list(changes), now=now, durable=lambda: (told or []).append("durable"))


def test_a_transaction_counts_as_a_whole_once_it_is_committed() -> None:
    """Outputs and changelog appear together or not at all, and a reader stops before what is not decided yet."""
    broker, told = new_broker(), ["nothing"]
    epoch = broker.fence(0)
    broker.begin(0, epoch, now=0)
    write(broker, epoch, (b"a", b"1"), told=told)
    assert [one.committed for one in broker.outputs] == [False]
    assert list(broker.changelog(0)) == []
    broker.commit(0, epoch, now=0)
    assert [one.committed for one in broker.outputs] == [True]
    assert list(broker.changelog(0)) == [(b"a", b"1")]
    assert told == ["nothing", "durable"]


def test_a_new_epoch_aborts_what_the_former_one_has_open_and_fences_it() -> None:
    """A zombie writes nothing that counts."""
    broker = new_broker()
    old = broker.fence(0)
    broker.begin(0, old, now=0)
    write(broker, old, (b"a", b"1"))
    broker.fence(0)
    assert list(broker.changelog(0)) == []
    with pytest.raises(Fenced):
        broker.commit(0, old, now=0)
    with pytest.raises(Fenced):
        broker.begin(0, old, now=0)
    assert not any(one.committed for one in broker.outputs)


def test_a_transaction_that_takes_too_long_fences_its_only_owner() -> None:
    """Seen on Apache Kafka: the commit fails though nobody else is there."""
    broker = new_broker()
    epoch = broker.fence(0)
    broker.begin(0, epoch, now=0)
    with pytest.raises(Fenced):
        broker.commit(0, epoch, now=TRANSACTION_TIMEOUT + 1)


def test_compaction_changes_nothing_that_a_reader_makes_of_it() -> None:
    """The last value of each key stays, tombstones go, and the tail is left alone."""
    broker = new_broker()
    for changes in ([(b"a", b"1"), (b"b", b"1")], [(b"a", None), (b"b", b"2")], [(b"c", b"1")]):
        write(broker, None, *changes)
    broker.compact()
    assert list(broker.changelog(0)) == [(b"b", b"2"), (b"c", b"1")]
    write(broker, None, (b"d", b"1"))
    assert list(broker.changelog(0))[-1] == (b"d", b"1")


def test_a_log_has_holes_and_positions_pass_over_them() -> None:
    """Markers and compaction take offsets and give no records."""
    log = Log("spans.events", 0)
    for number in range(3):
        log.append(None, b"%d" % number, 0)
        log.skip()
    records, position = log.read(1, 10, log.end)
    assert [record.offset for record in records] == [2, 4]
    assert position == log.end == 6
    records, position = log.read(0, 2, log.end)
    assert ([record.offset for record in records], position) == ([0, 2], 3)


def test_a_member_that_is_silent_for_a_session_is_thrown_out() -> None:
    """Its partitions go to others, in the next generation."""
    group = Group(2, sticky=True)
    group.join(1, 0)
    group.join(2, 0)
    assert group.heartbeat(1, 1, 0) is Answer.REJOIN
    group.join(1, 0)
    assert (group.given(1, 0), group.given(2, 0)) == ((2, {0}), (2, {1}))
    later = SESSION + SECOND
    assert group.heartbeat(2, 2, SESSION // 2) is Answer.STABLE
    assert group.heartbeat(2, 2, later) is Answer.REJOIN
    group.join(2, later)
    assert group.given(2, later) == (3, {0, 1})
    assert group.heartbeat(1, 2, later) is Answer.UNKNOWN
    assert not group.is_member(1)
