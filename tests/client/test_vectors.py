"""One set of vectors holds both sides of the wire together, and every client in another language."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finalizer.client.ids import SpanContext, operation_ids, parse_traceparent
from finalizer.codecs.native import NativeDecoder
from finalizer.core.model import Coordinates
from tests.client.playing import VECTORS, Vector, events_and_evidence, played, stories

IDS = json.loads((VECTORS / "ids.json").read_text())
PLACE = Coordinates("spans.events", 0, 0, 0)


@pytest.mark.parametrize("story", stories(), ids=lambda story: story.title)
def test_this_client_makes_these_events(story: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the steps tell becomes exactly these events."""
    assert played(story, monkeypatch) == story.events


@pytest.mark.parametrize(("title", "event", "evidence"), list(events_and_evidence()))
def test_the_worker_reads_these_events(title: str, event: dict[str, Any], evidence: dict[str, Any]) -> None:
    """Each event is evidence of exactly this."""
    assert _evidence(event) == evidence, title


@pytest.mark.parametrize("operation", IDS["operations"], ids=lambda one: one["op_id"])
def test_an_operation_has_the_same_ids_everywhere(operation: dict[str, str]) -> None:
    """They depend on nothing but op_id, so that a retry on another machine goes on with the same span."""
    assert operation_ids(operation["op_id"]) == (operation["trace_id"], operation["span_id"])


@pytest.mark.parametrize("one", IDS["traceparent"], ids=lambda one: one["header"] or "empty")
def test_a_callers_header_is_read_as_w3c_says(one: dict[str, Any]) -> None:
    """What is a traceparent names the caller's span; what is none names nothing, and is no error."""
    found = parse_traceparent(one["header"])
    assert (None if found is None else [*found[:3]]) == one["context"]


def test_a_traceparent_that_was_written_is_read() -> None:
    """Out and in again: the same span."""
    context = SpanContext("ab" * 16, "cd" * 8, 0, "vendor=1")
    assert parse_traceparent(context.traceparent, "vendor=1") == context


def _evidence(event: dict[str, Any]) -> dict[str, Any]:
    """What the worker understands, in the words of the vectors."""
    told = NativeDecoder().decode(json.dumps(event).encode(), PLACE)
    found: dict[str, Any] = {"kind": told.kind.name.lower(), "at": str(told.at), "seq": told.seq}
    if told.start_at is not None:
        found["start_at"] = str(told.start_at)
    found |= {name: value for name, value in (("interval_ns", told.interval), ("timeout_ns", told.timeout)) if value}
    if told.progress is not None:
        found["progress"] = told.progress
    if told.lifecycle is not None:
        found["lifecycle"] = told.lifecycle.name.lower()
    status = told.status
    if told.end is not None:
        found["cause"], status = told.end.cause.value, told.end.status
        found |= {"reason": told.end.reason} if told.end.reason else {}
    if status is not None:
        found["status"] = [status.code.name.lower(), status.message]
    return found
