"""Operations that are tried again: one span for all attempts, one end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from finalizer.client import Client
from finalizer.client.context import current
from finalizer.client.ids import operation_ids
from finalizer.client.testing import Capture, MemorySink, capture


@pytest.fixture
def spans() -> Iterator[Capture]:
    """A client whose spans are captured."""
    client = Client(MemorySink(), "test", heartbeat=10, keep=60)
    with capture(client) as captured:
        yield captured
    client.close(0)


def fail(spans: Capture, op_id: str, **options: Any) -> None:
    """One attempt that fails."""
    with pytest.raises(OSError, match="no network"), spans.client.resume(op_id, "upload", **options):
        raise OSError("no network")


def test_attempts_are_one_span(spans: Capture) -> None:
    """Each says `start` again, with the same ids; the last one ends it, and what failed before is no error of it."""
    fail(spans, "op")
    spans.advance(5)
    with spans.client.resume("op", "upload") as span:
        span.set_attribute("done", 1)
    told = spans.span("upload")
    assert (told.trace_id, told.span_id) == operation_ids("op")
    assert told.kinds == ["start", "start", "end"]
    assert told.attributes == {"op.attempt": 2, "span_status": "resumed", "done": 1}
    assert (told.status, told.reason, told.ends) == ("", "", 1)
    assert [event["name"] for event in told.events[-1]["events"]] == ["exception"]
    assert told.events[0]["op_id"] == "op"


def test_between_attempts_it_is_kept_alive(spans: Capture) -> None:
    """It beats while it waits, so that nobody closes what is about to go on."""
    fail(spans, "op")
    spans.advance(30)
    assert spans.span("upload").kinds == ["start", "heartbeat", "heartbeat", "heartbeat"]


def test_a_pause_between_attempts_is_told_and_closes_nothing(spans: Capture) -> None:
    """The app goes to the background while it waits for the network: the operation waits on, also as `partial`."""
    fail(spans, "op", on_pause="partial")
    spans.client.on_pause()
    spans.client.on_resume()
    with spans.client.resume("op", "upload"):
        pass
    told = spans.span("upload")
    assert told.kinds == ["start", "lifecycle", "lifecycle", "start", "end"]
    assert told.reason == ""


def test_an_operation_that_is_given_up_ends_when_its_last_attempt_did(spans: Capture) -> None:
    """After `keep`, as `abandoned`, with the error of that attempt."""
    spans.clock.advance(1)
    fail(spans, "op")
    failed_at = spans.clock.wall()
    spans.advance(61)
    told = spans.span("upload")
    assert (told.kinds[-1], told.reason, told.status, told.end_unix_nano) == ("end", "abandoned", "error", failed_at)
    spans.advance(600)
    assert spans.span("upload").kinds[-1] == "end"


def test_an_operation_that_is_over_begins_anew(spans: Capture) -> None:
    """The same op_id after its end is the same span still: the worker absorbs what says nothing new."""
    for _ in range(2):
        with spans.client.resume("op", "upload"):
            pass
    assert spans.span("upload").kinds == ["start", "end", "start", "end"]


def test_it_is_a_trace_of_its_own_that_links_to_the_caller(spans: Capture) -> None:
    """Ids come from op_id alone, so who called it is a link; what it calls are its children."""
    with spans.client.span("caller") as caller, spans.client.resume("op", "upload"), spans.client.span("child"):
        pass
    told = spans.span("upload")
    assert (told.parent_span_id, told.trace_id == caller.trace_id) == ("", False)
    assert told.events[0]["links"] == [{"trace_id": caller.trace_id, "span_id": caller.span_id}]
    assert spans.span("child").parent_span_id == told.span_id


def test_retry_tries_again_and_is_one_span(spans: Capture) -> None:
    """The decorated function is called until it succeeds; its result is the caller's."""
    calls = []

    @spans.client.retry("upload", op_id=lambda name: f"upload-{name}", attempts=3, on=OSError, pause=0.001)
    def upload(name: str) -> str:
        calls.append(name)
        if len(calls) < 3:
            raise OSError("no network")
        return name.upper()

    assert upload("a") == "A"
    told = spans.span("upload")
    assert told.kinds == ["start", "start", "start", "end"]
    assert (told.span_id, told.status, told.attributes["op.attempt"]) == (operation_ids("upload-a")[1], "", 3)
    assert current() is None


def test_retry_ends_with_the_last_error(spans: Capture) -> None:
    """After so many attempts, or with an error that no attempt can cure, the error is the caller's and the span's."""

    @spans.client.retry("hopeless", attempts=2, on=OSError, pause=0.001)
    def hopeless() -> None:
        raise OSError("no network")

    @spans.client.retry("wrong", attempts=2, on=OSError, pause=0.001)
    def wrong() -> None:
        raise ValueError("wrong")

    with pytest.raises(OSError, match="no network"):
        hopeless()
    with pytest.raises(ValueError, match="wrong"):
        wrong()
    assert [(one.name, one.kinds, one.status) for one in spans.spans] == [
        ("hopeless", ["start", "start", "end"], "error"),
        ("wrong", ["start", "end"], "error"),
    ]
    spans.assert_all_ended()


async def test_retry_awaits(spans: Capture) -> None:
    """An async function is awaited, and its pauses let others work; a cancelled one is not tried again."""
    calls = []

    @spans.client.retry("upload", attempts=3, on=OSError, pause=0.001)
    async def upload() -> int:
        calls.append(1)
        await asyncio.sleep(0)
        if len(calls) < 2:
            raise OSError("no network")
        return len(calls)

    @spans.client.retry("long", attempts=3, pause=0.001)
    async def long() -> None:
        await asyncio.sleep(60)

    assert await upload() == 2
    task = asyncio.create_task(long())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spans.span("upload").kinds == ["start", "start", "end"]
    assert (spans.span("long").kinds, spans.span("long").reason) == (["start", "end"], "cancelled")


def test_each_call_without_an_op_id_is_an_operation_of_its_own(spans: Capture) -> None:
    """Two calls are two spans."""

    @spans.client.retry("upload", attempts=1)
    def upload() -> None:
        pass

    upload()
    upload()
    assert len(spans.spans) == 2
