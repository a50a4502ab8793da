"""When spans beat, and what a heartbeat says."""

from __future__ import annotations

import sys
import threading
from itertools import pairwise
from typing import Any

import pytest

from finalizer.client import Client
from finalizer.client.beats import LOOK_AGAIN, Beats
from finalizer.client.deadlines import NEVER
from finalizer.client.testing import Capture, FakeClock, MemorySink, capture
from finalizer.client.testing.capture import Steps

SECOND = 1_000_000_000


def beats(captured: Capture, name: str) -> list[int]:
    """Times of a span's heartbeats, since its start."""
    span = captured.span(name)
    return [int(one["time_unix_nano"]) - span.start_unix_nano for one in span.events if one["type"] == "heartbeat"]


def told(settings: dict[str, Any]) -> Client:
    """A client that captures, with these settings."""
    return Client(MemorySink(), "test", **settings)


def test_a_span_beats_a_little_more_often_than_it_declared() -> None:
    """Each 0.8 to 0.9 intervals: never more often, so that it costs what was asked for, and never late."""
    with capture(told({"heartbeat": 10})) as captured:
        captured.client.start_span("long")
        captured.advance(600)
        times = [0, *beats(captured, "long")]
    assert all(8 * SECOND <= after - before <= 9 * SECOND for before, after in pairwise(times))
    assert len(times) in range(66, 77)


def test_spans_that_began_together_do_not_beat_together() -> None:
    """Jitter spreads them, or a restarted fleet would hammer its brokers in step for ever."""
    with capture(told({"heartbeat": 10})) as captured:
        for number in range(200):
            captured.client.start_span(str(number))
        captured.advance(8.5)
        early = sum(len(beats(captured, str(number))) for number in range(200))
    assert 0 < early < 200


def test_spans_that_begin_and_end_meanwhile_do_not_break_the_heartbeat() -> None:
    """The thread that beats looks at what other threads change: it dies of nothing that they do."""
    client = told({"heartbeat": 10})
    for number in range(300):
        client.start_span("long", heartbeat=1000 + number)
    over = threading.Event()

    def busy() -> None:
        while not over.is_set():
            client.start_span("short").end()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    app = threading.Thread(target=busy)
    app.start()
    try:
        for _ in range(1000):
            client.emitter.beat()
    finally:
        over.set()
        app.join()
        sys.setswitchinterval(interval)
        client.close(0)


def test_spans_that_begin_wake_the_keeper_seldom() -> None:
    """An app with a thousand short spans is interrupted for the heartbeats that none of them lives to see once in a
    while, not once for each; and an app that does nothing is left alone."""
    beats, now = Beats(None), 100 * SECOND
    client = told({"heartbeat": 60})
    span = client.start_span("short")
    assert beats.opened(span, now)
    beats.closed(span)
    for after in range(20):
        asked = now + after * LOOK_AGAIN
        assert beats.next_due(asked) == asked + LOOK_AGAIN
        for part in range(100):
            assert not beats.opened(span, asked + part * LOOK_AGAIN // 100)
            beats.closed(span)
    beats.next_due(now + 21 * LOOK_AGAIN)
    assert beats.next_due(now + 22 * LOOK_AGAIN) == NEVER
    client.close(0)


def test_short_spans_do_not_beat() -> None:
    """A span that ends before its first heartbeat is two events, whatever progress it told."""
    with capture(told({"heartbeat": 10, "initial_delay": 5})) as captured:
        with captured.client.span("short") as span:
            span.progress(0.1)
            captured.advance(4.9)
            span.progress(0.9)
        captured.advance(60)
        assert captured.span("short").kinds == ["start", "end"]


def test_the_initial_delay_is_the_age_at_the_first_heartbeat() -> None:
    """From then on the interval counts."""
    with capture(told({"heartbeat": 10, "initial_delay": 3})) as captured:
        captured.client.start_span("long")
        captured.advance(10.5)  # the next one comes at 11 at the earliest
        assert beats(captured, "long") == [3 * SECOND]


def test_only_the_latest_progress_is_told() -> None:
    """However often it is told, one heartbeat carries the last of it, and the next one nothing."""
    with capture(told({"heartbeat": 10})) as captured:
        span = captured.client.start_span("long")
        for made in range(100):
            span.progress(made / 100, {"step": made})
        captured.advance(20)  # each comes after 8 to 10
        first, second = [one for one in captured.events if one["type"] == "heartbeat"]
    assert (first["progress"], first["attributes"]) == (0.99, {"step": 99})
    assert {"progress", "attributes"} & set(second) == set()


@pytest.mark.parametrize("made", [-1, 2, float("nan"), True, "half"])
def test_progress_stays_between_0_and_1(made: Any) -> None:
    """A worker would refuse the whole heartbeat for anything else."""
    with capture(told({"heartbeat": 1})) as captured:
        captured.client.start_span("long").progress(made)
        captured.advance(1)
        assert 0 <= captured.events[-1].get("progress", 0) <= 1


def test_a_span_may_not_beat_at_all() -> None:
    """`heartbeat=None` declares nothing: the worker then holds it to silence and its timeout."""
    with capture(told({"heartbeat": 10})) as captured:
        with captured.client.span("quiet", heartbeat=None, timeout=60) as span:
            span.progress(0.5)
            captured.advance(600)
        start, end = captured.events
    assert "heartbeat_interval_ms" not in start
    assert (start["timeout_ms"], end["progress"]) == (60_000, 0.5)


def test_each_span_beats_by_its_own_interval() -> None:
    """A long interval of one does not hold up the short one of another."""
    with capture(told({"heartbeat": 100})) as captured:
        captured.client.start_span("slow")
        captured.client.start_span("quick", heartbeat=1)
        captured.advance(10)
        assert len(beats(captured, "quick")) in range(11, 13)
        assert beats(captured, "slow") == []


class Collector(MemorySink):
    """Takes what each record says by itself."""

    whole_heartbeats = True


def test_a_collector_hears_each_span_though_the_process_has_a_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its dialect has no word for processes. So each span beats for itself, and the app is told so."""
    monkeypatch.setattr("finalizer.client.saying._said", set())
    sink, clock = Collector(), FakeClock()
    client = Client(sink, "test", heartbeat=10, instance_id="pod-1")
    restore = client.redirect(sink, clock, Steps)
    spans = [client.start_span(str(number)) for number in range(3)]
    Capture(client, sink, clock).advance(15)
    for span in spans:
        span.end()
    client.flush(0)
    restore()
    client.close(0)
    kinds = [one["type"] for one in sink.events]
    assert [kinds.count(kind) for kind in ("start", "heartbeat", "end", "instance")] == [3, 3, 3, 0]
    assert not any("instance_id" in one for one in sink.events)
    assert "each beats for itself" in caplog.text


def test_one_heartbeat_stands_for_the_whole_process() -> None:
    """With an instance_id traffic does not grow with open spans; a span beats for itself when it has news."""
    with capture(told({"heartbeat": 10, "instance_id": "pod-1"})) as captured:
        spans = [captured.client.start_span(str(number)) for number in range(50)]
        captured.advance(30)
        spans[7].progress(0.5)
        captured.advance(10)
        kinds = [one["type"] for one in captured.events]
        start, instance = captured.events[0], next(one for one in captured.events if one["type"] == "instance")
    assert (kinds.count("start"), kinds.count("heartbeat")) == (50, 1)
    assert kinds.count("instance") in range(4, 7)
    assert start["instance_id"] == instance["instance_id"] == "pod-1"
    assert start["boot_id"] == instance["boot_id"]
    assert instance["heartbeat_interval_ms"] == 10_000
