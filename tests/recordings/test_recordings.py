"""The recordings fit what the programs that made them knew, so that tests may lean on both."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from finalizer.shell.placement import partition_of
from tests.recordings.mentions import Mention, mentions
from tests.recordings.reading import FOLDER, Recording, Span, programs, recordings, written

RECORDINGS = recordings()
MOST_BYTES = 300_000
PARTITIONS = 4

each = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: f"{one.program}-{one.way}")


def told(recording: Recording) -> dict[str, list[tuple[str, Mention]]]:
    """Span id -> topic and mention, in the order of the records."""
    found: dict[str, list[tuple[str, Mention]]] = defaultdict(list)
    for record in recording.records:
        for one in mentions(record):
            found[one.span_id].append((record.topic, one))
    return found


def test_every_dialect_is_there() -> None:
    """Plain spans, three partial-span processors, and Logfire; each as it was sent and as it lies on Kafka."""
    assert programs() == ["dotnet", "logfire", "partial_0_0_6", "partial_0_0_9", "sdk"]
    for program in programs():
        found = {one.way for one in RECORDINGS if one.program == program}
        assert "sent" in found
        assert len(found) > 1, program


@each
def test_spans_are_possible(recording: Recording) -> None:
    """Ids are whole and never zero, no span is there twice, none ends before it starts, parents are known."""
    seen: set[str] = set()
    for span in recording.spans:
        assert re.fullmatch("[0-9a-f]{32}", span.trace_id)
        assert re.fullmatch("[0-9a-f]{16}", span.span_id)
        assert int(span.trace_id, 16) > 0
        assert int(span.span_id, 16) > 0
        assert span.span_id not in seen
        assert span.end_unix_nano is None or span.end_unix_nano >= span.start_unix_nano
        assert not span.ends or span.end_unix_nano
        assert bool(span.heartbeats) == (span.last_heard_unix_nano is not None)
        seen.add(span.span_id)
    parents = {span.parent_span_id for span in recording.spans} - seen - {""}
    assert parents <= {"00f067aa0ba902b7"}, "only the remote parent is not among the spans"


@each
def test_what_was_told_is_on_the_wire_and_nothing_else(recording: Recording) -> None:
    """As often as the program knows, at the times it knows: the recording is whole, and the truth is its truth."""
    found = told(recording)
    assert set(found) == {span.span_id for span in recording.spans if span.known}
    for span in recording.spans:
        open_at = [one.at for _, one in found[span.span_id] if not one.ended]
        assert len(open_at) == span.heartbeats
        assert max(open_at, default=None) == span.last_heard_unix_nano
        ends = [(topic, one.at) for topic, one in found[span.span_id] if one.ended]
        assert sorted(ends) == [(topic, span.end_unix_nano) for topic in span.ends]
        assert {one.trace_id for _, one in found[span.span_id]} <= {span.trace_id}


@each
def test_some_spans_crashed_and_some_did_not(recording: Recording) -> None:
    """Each program has spans that ended and spans that never did; with heartbeats, these were heard of."""
    assert any(span.ends for span in recording.spans)
    crashed = [span for span in recording.spans if span.end_unix_nano is None]
    assert crashed
    assert all(span.known for span in crashed) == (recording.program != "sdk")


@each
def test_keys_are_those_of_a_stock_collector(recording: Recording) -> None:
    """By default none; by trace the trace id, but none for a log that names no trace. There are no headers."""
    by_trace = recording.way.endswith("_by_trace")
    for record in recording.records:
        traces = {one.trace_id for one in mentions(record)}
        if record.key is not None:
            assert by_trace
            assert {record.key.decode()} == traces
        else:
            assert not by_trace or recording.program == "dotnet"
        assert record.headers == ()


def test_a_stock_collector_does_not_place_keys_as_kafka_does() -> None:
    """One key is one partition, but not that of murmur2: why such inputs are re-keyed."""
    places: dict[bytes, set[int]] = defaultdict(set)
    for recording in RECORDINGS:
        for record in recording.records:
            if record.key:
                places[record.key].add(record.partition)
    assert all(len(partitions) == 1 for partitions in places.values())
    assert any(partition_of(key, PARTITIONS) not in partitions for key, partitions in places.items())


def test_by_default_a_trace_lies_on_several_partitions() -> None:
    """Without keys the evidence of one span does not meet: the other reason."""
    places: dict[str, set[int]] = defaultdict(set)
    for recording in RECORDINGS:
        if recording.way in {"kafka_json", "kafka_proto"}:
            for record in recording.records:
                for one in mentions(record):
                    places[recording.program + one.trace_id].add(record.partition)
    assert max(map(len, places.values())) > 1


@each
def test_a_recording_can_be_written_again(recording: Recording) -> None:
    """What is read is what was recorded, byte for byte, so a new recording differs where the traffic does."""
    path = FOLDER / recording.program / f"{recording.way}.jsonl"
    assert path.read_text().splitlines()[1:] == [written(record) for record in recording.records]


def test_spans_say_all_that_a_span_can() -> None:
    """The truth holds every part of a span: each kind, status, events, links, states, and every kind of value."""
    spans: list[Span] = [span for recording in RECORDINGS for span in recording.spans]
    assert {span.kind for span in spans} == {"internal", "server", "client", "producer", "consumer"}
    assert {span.status.code for span in spans} == {"unset", "ok", "error"}
    assert any(span.events for span in spans)
    assert any(link.attributes for span in spans for link in span.links)
    assert any(span.trace_state for span in spans)
    assert any(span.scope.schema_url for span in spans)
    kinds = Counter(type(value).__name__ for span in spans for value in span.attributes.values())
    assert set(kinds) == {"str", "bool", "int", "float", "list", "dict"}


def test_recordings_are_small() -> None:
    """They are part of every checkout."""
    files = [path for program in programs() for path in (FOLDER / program).iterdir()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def requirements() -> list[Path]:
    """What the environments of the programs were made of."""
    return sorted((FOLDER / "make" / "requirements").glob("*.txt"))


def test_environments_are_pinned() -> None:
    """Who makes a recording again has the same packages; no line names where they come from."""
    assert [path.stem for path in requirements()] == [name for name in programs() if name != "dotnet"]
    for path in requirements():
        lines = path.read_text().splitlines()
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines), path.name
