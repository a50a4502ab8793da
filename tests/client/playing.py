"""Plays a test vector: its steps are told to a client, by a clock that stands still in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import finalizer.client
from finalizer.client import Client, beats, emitter
from finalizer.client.settings import THROTTLE
from finalizer.client.span import Span
from finalizer.client.testing import FakeClock, MemorySink, capture

VECTORS = Path(finalizer.client.__file__).parent / "vectors"


class Vector(NamedTuple):
    """One story: what is told, and the events that it makes."""

    title: str
    settings: dict[str, Any]
    ids: list[str]
    steps: list[dict[str, Any]]
    events: list[dict[str, Any]]
    evidence: list[dict[str, Any]]


def stories() -> list[Vector]:
    """All vectors of events."""
    told = json.loads((VECTORS / "events.json").read_text())
    return [Vector(**story) for story in told["stories"]]


def played(vector: Vector, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The events that this client makes of the steps."""
    numbers = iter(vector.ids)
    monkeypatch.setattr(emitter, "new_ids", lambda: (next(numbers), next(numbers)))
    monkeypatch.setattr(emitter, "new_span_id", lambda: next(numbers))
    monkeypatch.setattr(beats, "period", lambda interval: int(interval * THROTTLE))
    client = Client(MemorySink(), "test")
    client.close(0)
    settings = dict(vector.settings)
    client = Client(MemorySink(), settings.pop("service"), **settings)
    spans: dict[str, Span] = {}
    with capture(client) as captured:
        context = copy_context()  # a story may leave a span open: it is not to be the parent of the next test's
        for step in vector.steps:
            context.run(_take, client, captured.clock, spans, captured.advance, dict(step))
        events = list(captured.events)
    client.close(0)
    return events


def _take(client: Client, clock: FakeClock, spans: dict[str, Span], advance: Any, step: dict[str, Any]) -> None:
    if "after_ms" in step:
        advance(step.pop("after_ms") / 1000)
    clock.set_wall(step.pop("wall_clock_set_by_ms", 0) / 1000)
    for what, told in step.items():
        match what:
            case "start":
                _start(client, spans, dict(told))
            case "attempt":
                spans[told["span"]] = client.resume(told["op_id"], told["name"]).__enter__()
            case "progress":
                spans[told["span"]].progress(told.get("made"), told.get("attributes"))
            case "status":
                spans[told["span"]].set_status(told["code"], told.get("message", ""))
            case "event":
                spans[told["span"]].add_event(told["name"], told.get("attributes"))
            case "end":
                spans[told["span"]].end(told.get("status", ""), told.get("message", ""), reason=told.get("reason", ""))
            case "partial":
                spans[told["span"]].partial(told.get("attributes"))
            case "app":
                {"paused": client.on_pause, "back": client.on_resume}[told]()
            case _:
                raise AssertionError(what)


def _start(client: Client, spans: dict[str, Span], told: dict[str, Any]) -> None:
    number, name, within = told.pop("span"), told.pop("name"), told.pop("within", None)
    for duration in ("timeout", "heartbeat"):
        if f"{duration}_ms" in told:
            told[duration] = told.pop(f"{duration}_ms") / 1000
    if within is not None:
        told["parent"] = spans[within]
    spans[number] = client.start_span(name, **told)


def events_and_evidence() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each event of the vectors with what it means to the worker."""
    for story in stories():
        for event, evidence in zip(story.events, story.evidence, strict=True):
            yield story.title, event, evidence
