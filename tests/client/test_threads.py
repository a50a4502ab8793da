"""The client on its own threads: it wakes when there is something to do, and the app waits for nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from finalizer.client import Client
from finalizer.client.events import Record
from finalizer.client.sinks import Undelivered
from finalizer.client.testing import MemorySink
from tests.client.spooling import rows
from tests.waiting import LIMIT_SECONDS, until


class Stuck(MemorySink):
    """A sink that answers only when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.let_go = threading.Event()

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        self.asked.set()
        self.let_go.wait(30)
        return super().send(records)


def _has(sink: MemorySink, count: int) -> bool:
    return len(sink.records) == count


def test_what_is_told_is_sent_by_itself() -> None:
    """No flush is needed, neither for the first event nor for the thousandth."""
    sink = MemorySink()
    client = Client(sink, "test")
    for expected in (2, 4, 6):
        client.start_span("job").end()
        until(partial(_has, sink, expected))
    client.close()


def test_heartbeats_come_by_themselves() -> None:
    """A span that is begun while the thread sleeps for long is due in its own time; a guard is, too."""
    sink = MemorySink()
    client = Client(sink, "test", heartbeat=1000)
    client.start_span("slow")
    client.start_span("quick", heartbeat=0.05)
    guard = client.with_timeout(0.1, "guarded")
    guard.__enter__()
    until(lambda: [event["type"] for event in sink.events].count("heartbeat") >= 3)
    until(lambda: any(event.get("reason") == "timeout" for event in sink.events))
    guard.__exit__(None, None, None)
    client.close()


def test_a_sink_that_hangs_holds_up_nobody() -> None:
    """Spans begin and end, and flush returns when its time is over."""
    sink = Stuck()
    client = Client(sink, "test", buffer=100)
    for _ in range(1000):
        client.start_span("job").end()
    assert not client.flush(0.05)
    assert client.counts["buffered"] <= 100
    sink.let_go.set()
    assert client.flush(10)
    client.close()


def test_flush_waits_for_what_was_told_until_now() -> None:
    """True means that all of it has arrived."""
    sink = MemorySink()
    client = Client(sink, "test", buffer=100_000)
    for number in range(1, 6):
        for _ in range(1000):
            client.start_span("job").end()
        assert client.flush(10)
        assert len(sink.records) == 2000 * number
    client.close()


def test_a_sink_that_comes_back_gets_everything() -> None:
    """After a failure it is tried again, later and later; `flush` and `on_resume` try at once."""
    sink = MemorySink()
    sink.down = True
    client = Client(sink, "test")
    client.start_span("job").end()
    assert not client.flush(0.05)
    sink.down = False
    client.on_resume()
    until(lambda: len(sink.records) == 2)
    assert client.counts["failures"] >= 1
    client.close()


def test_flush_tries_at_once_however_long_the_pause_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody waits: the pause after a failure is for when nobody does."""
    monkeypatch.setattr("finalizer.client.sender.FIRST_PAUSE", 3600 * 1_000_000_000)
    monkeypatch.setattr("finalizer.client.sender.LONGEST_PAUSE", 3600 * 1_000_000_000)
    sink = MemorySink()
    sink.down = True
    client = Client(sink, "test")
    client.start_span("job").end()
    until(lambda: client.counts["failures"])
    sink.down = False
    assert client.flush(10)
    client.close()


def test_the_end_waits_no_longer_than_it_was_told_to() -> None:
    """A network that swallows everything holds up the end of the app for `flush_before_exit`, not for as long as it
    likes: the call under way is left alone."""
    sink = Stuck()
    client = Client(sink, "test", flush_before_exit=0.05)
    client.start_span("job").end()
    until(sink.asked.is_set)
    client.close()
    assert not sink.let_go.is_set()
    sink.let_go.set()
    until(lambda: sink.records)


def test_with_a_spool_a_network_that_refuses_is_not_waited_for(tmp_path: Path) -> None:
    """What lies on the disk is the next run's to send, all of it, however long the end may take."""
    sink = MemorySink()
    sink.down = True
    client = Client(sink, "test", spool=tmp_path / "spool.db", flush_before_exit=3600, buffer=20_000)
    for _ in range(3000):
        client.start_span("job").end()
    client.close()
    assert sink.records == []
    assert len(rows(tmp_path / "spool.db")) == 6000


def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Another process that sits on the spool keeps the app from its end no longer than a moment; nothing breaks."""
    client = Client(MemorySink(), "test", spool=tmp_path / "spool.db", flush_before_exit=0.05)
    client.start_span("job").end()
    assert client.flush(10)
    other = sqlite3.connect(tmp_path / "spool.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    client.start_span("late").end()
    client.close()
    other.execute("ROLLBACK")
    other.close()


def test_flush_waits_for_more_than_one_step_of_the_disk(tmp_path: Path) -> None:
    """True means that all of it has arrived, also where the spool takes several steps to store it."""
    sink = MemorySink()
    client = Client(sink, "test", spool=tmp_path / "spool.db", buffer=20_000)
    for _ in range(4000):
        client.start_span("job").end()
    assert client.flush(30)
    assert len(sink.records) == 8000
    client.close()


def test_a_client_that_is_closed_takes_what_it_is_told_and_does_nothing() -> None:
    """An app that tells more after the end is not punished for it."""
    client = Client(MemorySink(), "test")
    client.close()
    client.close()
    with client.span("late") as span:
        span.progress(1)
    flush = threading.Thread(target=client.flush, args=[3600], daemon=True)
    flush.start()
    flush.join(LIMIT_SECONDS)
    assert not flush.is_alive()


def test_no_thread_runs_before_there_is_something_to_do() -> None:
    """A client that is made at import time costs a forking server nothing."""
    before = set(threading.enumerate())
    client = Client(MemorySink(), "test")
    assert set(threading.enumerate()) == before
    client.start_span("job").end()
    assert client.flush(10)
    client.close()
    assert set(threading.enumerate()) == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_of_a_bug_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so loudly, as threads do; what it had in hand is sent by the next one."""
    monkeypatch.setattr("finalizer.client.threads.RESTART_SECONDS", 0.0)

    class Buggy(MemorySink):
        bugs = 1

        def send(self, records: Sequence[Record]) -> Sequence[int]:
            if self.bugs:
                self.bugs -= 1
                raise ZeroDivisionError
            return super().send(records)

    sink = Buggy()
    client = Client(sink, "test")
    client.start_span("first").end()
    until(lambda: not sink.bugs)
    until(lambda: client.flush(0.1))
    assert {event["name"] for event in sink.events} == {"first"}
    client.close()


def test_a_refused_event_is_dropped_and_counted_and_holds_up_nobody() -> None:
    """What the other side will never take is not sent for ever."""

    class Picky(MemorySink):
        def send(self, records: Sequence[Record]) -> Sequence[int]:
            super().send([record for record in records if b'"bad"' not in record.value])
            return [place for place, record in enumerate(records) if b'"bad"' in record.value]

    client = Client(Picky(), "test")
    client.start_span("bad").end()
    client.start_span("good").end()
    assert client.flush(10)
    assert (client.counts["refused"], client.counts["acknowledged"]) == (2, 2)
    client.close()


def test_part_of_a_batch_that_arrived_is_not_sent_again() -> None:
    """A sink says what arrived before it failed."""

    class Half(MemorySink):
        fails = 1

        def send(self, records: Sequence[Record]) -> Sequence[int]:
            if self.fails and len(records) > 1:
                self.fails -= 1
                super().send(records[:1])
                raise Undelivered("half", [0])
            return super().send(records)

    sink = Half()
    client = Client(sink, "test")
    client.start_span("a")
    client.start_span("b")
    time.sleep(0)
    assert client.flush(10) or client.flush(10)
    assert sorted(event["name"] for event in sink.events) == ["a", "b"]
    client.close()
