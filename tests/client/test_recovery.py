"""What the next run does about spans that the last one left open."""

from __future__ import annotations

from pathlib import Path

import pytest

from finalizer.client import Spool
from finalizer.client.testing import FakeClock
from tests.client.spooling import SteppedClient, rows

HOUR = 3600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the spool lies."""
    return tmp_path / "spool.db"


def test_a_span_that_a_crash_left_open_ends_as_restarted(path: Path) -> None:
    """At its last known moment, never now, with all that was known of it, and with the next seq."""
    clock = FakeClock()
    client = SteppedClient(path, clock, heartbeat=10, resource={"service.version": "1"})
    span = client.start_span("upload", span_type="upload", attributes={"a": 1}, timeout=600)
    clock.advance(9)
    span.progress(0.4, {"b": 2})
    client.step()
    clock.advance(9)
    client.step()
    client.crash()
    clock.advance(HOUR)
    client = SteppedClient(path, clock)
    client.step()
    (end,) = client.sink.events
    assert (end["type"], end["reason"], end["name"], end["span_id"]) == ("end", "restarted", "upload", span.span_id)
    assert (end["attributes"], end["progress"], end["span_type"]) == ({"a": 1, "b": 2}, 0.4, "upload")
    assert end["resource"] == {"service.name": "test", "service.version": "1"}
    assert int(end["start_time_unix_nano"]) == span.start_at
    assert int(end["time_unix_nano"]) == span.start_at + 18_000_000_000
    assert end["seq"] == 4
    assert client.recovered == {"restarted": 1}
    client.close()


def test_a_span_that_told_nothing_more_is_known_to_be_open_as_long_as_its_program_lived(path: Path) -> None:
    """The run says every few seconds that it lives; that is the last known moment of a span that does not beat."""
    clock = FakeClock()
    client = SteppedClient(path, clock, heartbeat=None)
    span = client.start_span("quiet")
    for _ in range(10):
        clock.advance(6)
        client.step()
    client.crash()
    client = SteppedClient(path, clock)
    client.step()
    assert int(client.sink.events[-1]["time_unix_nano"]) == span.start_at + 60_000_000_000
    client.close()


def test_ended_spans_are_not_ended_again(path: Path) -> None:
    """Neither those that ended well nor those that were closed as partial; their ends are sent if they were not."""
    clock = FakeClock()
    client = SteppedClient(path, clock)
    client.sink.down = True
    client.start_span("ended").end()
    client.start_span("partial").partial()
    client.step()
    client.crash()
    client = SteppedClient(path, clock)
    client.step()
    assert sorted(client.told()) == [("end", "ended"), ("end", "partial"), ("start", "ended"), ("start", "partial")]
    assert client.recovered == {}
    client.close()


@pytest.mark.parametrize(
    ("hours", "heard", "reasons"),
    [
        (1, True, ["restarted"]),
        (3, True, ["abandoned"]),
        (3, False, ["abandoned"]),
        (30, True, []),
        (30, False, ["abandoned"]),
    ],
)
def test_how_long_ago_it_was_tells_the_reason(path: Path, hours: int, heard: bool, reasons: list[str]) -> None:
    """Within the spool's ttl (2 h here) `restarted`, later `abandoned`. What the worker has heard of and forgotten
    since (24 h) had its final: nothing; what it never heard of cannot have had one."""
    clock = FakeClock()
    client = SteppedClient(Spool(path, ttl=2 * HOUR), clock)
    client.sink.down = not heard
    client.start_span("left")
    client.step()
    client.crash()
    clock.advance(hours * HOUR)
    client = SteppedClient(Spool(path, ttl=2 * HOUR), clock)
    client.step()
    assert [event["reason"] for event in client.sink.events if event["type"] == "end"] == reasons
    assert rows(path, "SELECT count(*) FROM spans") == [0]
    client.close()


def test_a_program_that_ends_in_good_order_leaves_its_open_spans_to_the_next_run(path: Path) -> None:
    """They say `terminate` first, so that nobody takes them for dead meanwhile."""
    clock = FakeClock()
    client = SteppedClient(path, clock)
    client.start_span("open")
    client.close()
    assert [event["type"] for event in client.sink.events] == ["start", "lifecycle"]
    assert client.sink.events[-1]["state"] == "terminate"
    client = SteppedClient(path, clock)
    client.step()
    assert client.told() == [("end", "restarted")]
    client.close()


def test_many_spans_are_recovered_in_pieces(path: Path) -> None:
    """No transaction grows with what was left, and all of it is closed."""
    clock = FakeClock()
    client = SteppedClient(path, clock)
    for number in range(1200):
        client.start_span(str(number))
    client.step()
    client.crash()
    client = SteppedClient(path, clock)
    client.step()
    assert client.recovered == {"restarted": 1200}
    assert len({event["span_id"] for event in client.sink.events}) == 1200
    client.close()


def test_a_crash_of_the_recovery_closes_nothing_twice(path: Path) -> None:
    """What it had closed is on the disk with its end, in one transaction."""
    clock = FakeClock()
    client = SteppedClient(path, clock)
    client.start_span("left")
    client.step()
    client.crash()
    for _ in range(3):
        client = SteppedClient(path, clock)
        client.sink.down = True
        client.step()
        client.crash()
    client = SteppedClient(path, clock)
    client.step()
    assert client.told() == [("end", "restarted")]
    client.close()


def test_what_is_known_of_a_span_may_be_unreadable(path: Path) -> None:
    """One row that is no event costs the others nothing."""
    clock = FakeClock()
    client = SteppedClient(path, clock)
    bad = client.start_span("bad")
    client.start_span("good")
    client.step()
    client.spool.work(lambda one: one.execute("UPDATE spans SET known = x'00' WHERE span = ?", (bad.key,)))
    client.crash()
    client = SteppedClient(path, clock)
    client.step()
    assert client.recovered == {"unreadable": 1, "restarted": 1}
    client.close()


def test_an_operation_is_kept_for_whoever_resumes_it(path: Path) -> None:
    """The next run keeps it alive; resumed there it goes on as the same span, with what it was, and ends once."""
    clock = FakeClock()
    client = SteppedClient(path, clock, heartbeat=10)
    attempt = client.resume("op-1", "upload", attributes={"a": 1})
    span = attempt.__enter__()
    clock.advance(9)
    client.step()
    client.crash()
    clock.advance(60)
    client = SteppedClient(path, clock, heartbeat=10)
    client.step()
    clock.advance(9)
    client.step()
    assert client.told() == [("heartbeat", "")]
    with client.resume("op-1", "upload") as again:
        assert again.key == span.key
    client.step()
    start, end = client.sink.events[-2:]
    assert (start["type"], start["attributes"]["span_status"], start["attributes"]["a"]) == ("start", "resumed", 1)
    assert (end["type"], int(end["start_time_unix_nano"]), end["attributes"]["op.attempt"]) == ("end", span.start_at, 2)
    assert end["seq"] > span.seq
    client.close()


def test_an_operation_that_nobody_resumes_ends_as_restarted(path: Path) -> None:
    """After `keep`, at the last moment of the run that was killed."""
    clock = FakeClock()
    client = SteppedClient(path, clock, heartbeat=10)
    span = client.resume("op-1", "upload").__enter__()
    clock.advance(9)
    client.step()
    client.crash()
    clock.advance(60)
    client = SteppedClient(path, clock, heartbeat=10, keep=30)
    client.step()
    for _ in range(4):
        clock.advance(10)
        client.step()
    end = client.sink.events[-1]
    assert (end["type"], end["reason"]) == ("end", "restarted")
    assert int(end["time_unix_nano"]) == span.start_at + 9_000_000_000
    assert rows(path, "SELECT count(*) FROM spans") == [0]
    client.close()


def test_an_operation_that_goes_on_before_the_recovery_has_looked_is_not_closed_by_it(path: Path) -> None:
    """An app resumes in its first line; what the disk then tells of that operation is its own past."""
    clock = FakeClock()
    client = SteppedClient(path, clock)
    client.resume("op-1", "upload").__enter__()
    client.step()
    client.crash()
    client = SteppedClient(path, clock)
    with client.resume("op-1", "upload"):
        client.step()
        clock.advance(9)
        client.step()
    client.step()
    assert [event["type"] for event in client.sink.events] == ["start", "heartbeat", "end"]
    assert client.recovered == {}
    assert rows(path, "SELECT count(*) FROM spans") == [0]
    client.close()
