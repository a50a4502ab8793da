"""What lies on the disk: written before it is sent, deleted when it arrived, bounded, whatever the disk does."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from finalizer.client import Spool
from finalizer.client.spool.spool import TTL
from finalizer.client.testing import FakeClock, MemorySink
from finalizer.policy.load import load
from tests.client.spooling import SteppedClient, rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the spool lies; its folder does not exist yet."""
    return tmp_path / "data" / "spool.db"


def test_events_lie_on_the_disk_before_they_are_sent(path: Path) -> None:
    """While the network is gone all is kept, in order; once it is back all arrives, and nothing stays behind."""
    client = SteppedClient(path, FakeClock())
    client.sink.down = True
    with client.span("one"), client.span("two"):
        client.step()
    client.step()
    assert [event["type"] for event in rows(path)] == ["start", "start", "end", "end"]
    client.sink.down = False
    client.step()
    assert [event["type"] for event in client.sink.events] == ["start", "start", "end", "end"]
    assert rows(path) == []
    client.close()
    assert [entry.name for entry in path.parent.iterdir()] == ["spool.db"]


def test_an_hour_offline_arrives_in_order(path: Path) -> None:
    """Hundreds of batches later each span's events come in the order in which they were told, none twice."""
    clock = FakeClock()
    client = SteppedClient(path, clock, heartbeat=10)
    client.sink.down = True
    spans = [client.start_span(str(number)) for number in range(20)]
    for _ in range(360):
        clock.advance(10)
        client.step()
    for span in spans:
        span.end("ok")
    client.sink.down = False
    client.step()
    by_span: dict[str, list[int]] = {}
    for event in client.sink.events:
        by_span.setdefault(event["span_id"], []).append(event["seq"])
    assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in by_span.values())
    assert sum(map(len, by_span.values())) > 20 * 300
    client.close()


def test_a_full_disk_costs_the_app_nothing(path: Path) -> None:
    """What the disk refuses stays in memory, bounded, and is sent from there; with room again it is written."""
    clock = FakeClock()
    client = SteppedClient(path, clock, buffer=50)
    client.start_span("before")
    client.step()
    client.sink.down = True
    client.spool.work(lambda one: one.execute("PRAGMA max_page_count = 1").fetchall())
    for number in range(700):
        client.start_span(str(number), attributes={"text": "x" * 1000}).end()
        client.step()
    assert client.counts["spool_refusals"] > 0
    assert client.counts["buffered"] <= 50
    clock.advance(60)  # another connection, and the disk has room
    client.step()
    assert client.counts["buffered"] == 0
    assert len(rows(path)) >= 50
    client.sink.down = False
    client.step()
    ends = Counter(event["span_id"] for event in client.sink.events if event["type"] == "end")
    assert len(ends) >= 25
    assert client.counts["dropped_end"] + sum(ends.values()) >= 700
    client.close()


def test_a_full_disk_and_a_network_are_enough(path: Path) -> None:
    """A spool that never could be written to is no reason not to send."""
    path.parent.mkdir()
    path.mkdir()
    client = SteppedClient(path, FakeClock())
    client.start_span("job").end()
    client.step()
    assert client.told() == [("start", "job"), ("end", "job")]
    assert client.counts["spool_refusals"] == 1
    client.close()


@pytest.mark.parametrize("damage", ["garbage", "cut off", "zeros inside", "another program's"])
def test_a_broken_file_is_moved_aside(path: Path, damage: str) -> None:
    """Whatever lies there, the app starts, and its spans are sent; the file is kept for a person to look at."""
    clock = FakeClock()
    client = SteppedClient(path, clock)
    client.sink.down = True
    for number in range(300):
        client.start_span(str(number))
    client.step()
    client.crash()
    _damage(path, damage)
    client = SteppedClient(path, clock)
    client.step()
    with client.span("after"):
        clock.advance(6)
        client.step()
    for _ in range(3):
        clock.advance(6)
        client.step()
    assert client.told()[-2:] == [("start", "after"), ("end", "after")]
    assert client.counts["spool_corrupt_files"] == 1
    assert (path.parent / "spool.db.corrupt").exists()
    client.close()


def test_a_file_that_is_deleted_under_it_is_made_again(path: Path) -> None:
    """An app's cache folder may be emptied at any time."""
    clock = FakeClock()
    client = SteppedClient(path, clock)
    client.start_span("before").end()
    client.step()
    for part in path.parent.iterdir():
        part.unlink()
    client.start_span("open")
    clock.advance(6)
    client.step()
    client.sink.down = True
    client.start_span("after").end()
    client.step()
    assert [event["type"] for event in rows(path)][-2:] == ["start", "end"]
    client.crash()


def test_the_spool_has_a_size(path: Path) -> None:
    """Beyond `max_rows` heartbeats go first, then starts whose end waits, ends last; and it is counted."""
    clock = FakeClock()
    client = SteppedClient(Spool(path, max_rows=30), clock, heartbeat=1)
    client.sink.down = True
    spans = [client.start_span(str(number)) for number in range(10)]
    for _ in range(20):
        clock.advance(1)
        client.step()
    for span in spans:
        span.end()
    client.step()
    for number in range(40):
        client.start_span(f"short {number}").end()
        client.step()
    kinds = Counter(event["type"] for event in rows(path))
    assert kinds.total() <= 30
    assert kinds["end"] == kinds.total()
    assert client.counts["dropped_heartbeat"] > 100
    client.sink.down = False
    client.step()
    client.close()


def test_a_start_goes_before_its_end_only(path: Path) -> None:
    """A start whose end waits beside it can be missed; one of a span that is still open says who that is."""
    client = SteppedClient(Spool(path, max_rows=30), FakeClock(), heartbeat=None)
    client.sink.down = True
    for number in range(5):
        client.start_span(f"open {number}")
    for number in range(24):
        client.start_span(f"short {number}").end()
        client.step()
    kept = Counter((event["type"], event["name"].split()[0]) for event in rows(path))
    assert (kept["start", "open"], kept["end", "short"]) == (5, 24)
    client.crash()


def test_the_spool_has_a_size_in_bytes(path: Path) -> None:
    """Few large events fill a disk as well as many small ones."""
    client = SteppedClient(Spool(path, max_bytes=500_000), FakeClock())
    client.sink.down = True
    for number in range(500):
        client.start_span(str(number), attributes={"text": "x" * 4000}).end()
        client.step()
    assert path.stat().st_size < 2_000_000
    assert client.counts["dropped_start"] > 100
    client.crash()


def test_what_is_too_old_is_not_sent(path: Path) -> None:
    """The worker would not remember what it has closed by then, and could write a second final."""
    clock = FakeClock()
    client = SteppedClient(Spool(path, ttl=3600), clock, heartbeat=None)
    client.sink.down = True
    client.start_span("old").end()
    client.step()
    client.start_span("open")
    for _ in range(13):
        clock.advance(300)
        client.step()
    client.start_span("new").end()
    client.sink.down = False
    clock.advance(60)
    client.step()
    assert client.told() == [("start", "new"), ("end", "new")]
    assert client.counts["spool_expired"] == 3
    client.crash()


def test_the_spool_keeps_no_longer_than_a_worker_remembers() -> None:
    """The client's default is within the worker's: one final per span, without anybody setting anything."""
    assert int(TTL.total_seconds() * 1_000_000_000) <= load("").remember.presumed


def test_two_programs_share_a_spool(path: Path) -> None:
    """Each sends its own; neither takes the other's spans for left behind; what one leaves the other takes over."""
    clock = FakeClock()
    first, second = SteppedClient(path, clock), SteppedClient(path, clock)
    first.start_span("first")
    first.step()
    second.start_span("second")
    second.step()
    assert (first.told(), second.told()) == ([("start", "first")], [("start", "second")])
    third = SteppedClient(path, clock)
    third.step()
    assert third.told() == []
    first.crash()
    fourth = SteppedClient(path, clock)
    fourth.step()
    assert fourth.told() == [("end", "restarted")]
    for one in (second, third, fourth):
        one.crash()


def test_another_program_that_writes_is_waited_for(path: Path) -> None:
    """A lock on the file is no fault of the disk."""
    client = SteppedClient(path, FakeClock())
    client.step()
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    client.start_span("job")
    os.sched_yield()
    other.rollback()
    other.close()
    client.step()
    assert client.told() == [("start", "job")]
    client.crash()


def test_what_was_sent_is_not_sent_again_when_the_disk_cannot_forget_it(path: Path) -> None:
    """A delete that is refused is made up for later; until then the event is known to be done."""
    clock = FakeClock()
    client = SteppedClient(path, clock)
    client.step()
    client.spool.work(
        lambda one: one.execute("CREATE TEMP TRIGGER no BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'full'); END")
    )
    client.start_span("job").end()
    client.step()
    clock.advance(6)  # another connection, without the trigger
    client.step()
    client.step()
    assert client.told() == [("start", "job"), ("end", "job")]
    assert rows(path) == []
    client.close()


def test_a_sink_may_be_memory_itself(path: Path) -> None:
    """A record is the same whether it came through the disk or not."""
    direct, spooled = MemorySink(), SteppedClient(path, FakeClock())
    spooled.start_span("job", attributes={"ü": ["é", 1.5, True]}).end("error", "why")
    spooled.step()
    direct.send(spooled.sink.records)
    assert direct.events == spooled.sink.events
    assert spooled.sink.events[-1]["attributes"] == {"ü": ["é", 1.5, True]}
    spooled.close()


def _damage(path: Path, damage: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = path.read_bytes()
    match damage:
        case "garbage":
            path.write_bytes(b"no database at all" * 1000)
        case "cut off":
            path.write_bytes(data[: len(data) // 2])
        case "zeros inside":
            path.write_bytes(data[:4096] + bytes(len(data) - 4096))
        case "another program's":
            path.unlink()
            other = sqlite3.connect(path)
            other.execute("CREATE TABLE theirs (x)")
            other.commit()
            other.close()
