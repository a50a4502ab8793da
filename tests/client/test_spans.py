"""What an app tells of its spans, and what is sent of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from finalizer.client import Client, Limits, SpanContext
from finalizer.client.context import current
from finalizer.client.testing import Capture, MemorySink, capture

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans() -> Iterator[Capture]:
    """A client whose spans are captured."""
    with capture() as captured:
        yield captured


def test_a_block_is_a_span(spans: Capture) -> None:
    """It begins and ends with its block, with what was told inside."""
    with spans.client.span("upload", span_type="upload", attributes={"device": "x"}) as span:
        span.progress(0.4, {"net.type": "wifi"}, bytes=10)
    told = spans.span("upload")
    assert told.kinds == ["start", "end"]
    assert told.attributes == {"device": "x", "net.type": "wifi", "bytes": 10}
    assert (told.progress, told.status, told.ends) == (0.4, "", 1)


def test_spans_within_each_other_are_parent_and_child(spans: Capture) -> None:
    """The current span is the parent, in blocks, in functions and in tasks that a block starts."""
    client = spans.client

    @client.span("function")
    def work() -> None:
        with client.span("innermost"):
            pass

    @client.span("coroutine")
    async def task() -> None:
        await asyncio.sleep(0)
        work()

    async def both() -> None:
        async with client.span("outer"):
            await asyncio.gather(task(), asyncio.create_task(task()))

    asyncio.run(both())
    assert current() is None
    outer, *inner = spans.spans
    by_id = {span.span_id: span.name for span in spans.spans}
    parents = sorted((span.name, by_id[span.parent_span_id]) for span in inner)
    assert parents == 2 * [("coroutine", "outer")] + 2 * [("function", "coroutine")] + 2 * [("innermost", "function")]
    assert {span.trace_id for span in spans.spans} == {outer.trace_id}
    spans.assert_all_ended()


def test_the_callers_header_comes_in_and_goes_out(spans: Capture) -> None:
    """traceparent and tracestate make the caller the parent, and are passed on; garbage makes a root."""
    client = spans.client
    with client.span("handle", traceparent=CALLER, tracestate="a=1"):
        headers: dict[str, str] = {}
        client.inject(headers)
    with client.span("root", traceparent="garbage", tracestate="a=1"):
        pass
    handled = spans.span("handle")
    assert f"00-{handled.trace_id}-{handled.parent_span_id}-01" == CALLER
    assert headers == {"traceparent": f"00-{handled.trace_id}-{handled.span_id}-01", "tracestate": "a=1"}
    assert spans.span("root").parent_span_id == ""
    outside: dict[str, str] = {}
    client.inject(outside)
    assert outside == {}


def test_an_error_that_leaves_the_block_is_the_spans(spans: Capture) -> None:
    """Status error, `error.type`, and the event `exception` with its stack; the error goes on its way."""
    with pytest.raises(ValueError, match="no such file"), spans.client.span("load"):
        raise ValueError("no such file")
    told = spans.span("load")
    assert (told.status, told.attributes) == ("error", {"error.type": "ValueError"})
    (happened,) = told.events[-1]["events"]
    assert happened["name"] == "exception"
    assert happened["attributes"]["exception.message"] == "no such file"
    assert 'raise ValueError("no such file")' in happened["attributes"]["exception.stacktrace"]


def test_an_error_that_cannot_even_be_printed_is_told(spans: Capture) -> None:
    """Whatever an app raises, its own error is what it sees."""

    class Awkward(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    with pytest.raises(Awkward), spans.client.span("load"):
        raise Awkward
    assert spans.span("load").attributes["error.type"].endswith("Awkward")


async def test_work_that_is_cancelled_says_so(spans: Capture) -> None:
    """A cancelled task ends its span with the reason `cancelled`, and no error; so does Ctrl-C."""

    async def long() -> None:
        async with spans.client.span("long"):
            await asyncio.sleep(60)

    task = asyncio.create_task(long())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (spans.span("long").reason, spans.span("long").status) == ("cancelled", "")
    with pytest.raises(KeyboardInterrupt), spans.client.span("typed"):
        raise KeyboardInterrupt
    assert spans.span("typed").reason == "cancelled"


def test_the_first_end_counts_and_nothing_comes_after_it(spans: Capture) -> None:
    """A span that is over tells nothing more, however often it is asked to."""
    span = spans.client.start_span("job")
    span.end("ok", reason="done")
    span.end("error")
    span.set_attribute("late", 1)
    span.set_status("error")
    span.add_event("late")
    span.add_link(CALLER)
    span.progress(1.0)
    spans.advance(60)
    told = spans.span("job")
    assert (told.kinds, told.status, told.reason, told.attributes) == (["start", "end"], "ok", "done", {})


def test_links_name_other_spans(spans: Capture) -> None:
    """Given at the start or later, by ids or by header."""
    other = SpanContext("ab" * 16, "cd" * 8)
    with spans.client.span("merge", links=[other]) as span:
        span.add_link(CALLER, {"why": "retry"})
        span.add_link("garbage")
    assert spans.span("merge").events[-1]["links"] == [
        {"trace_id": other.trace_id, "span_id": other.span_id},
        {"trace_id": CALLER[3:35], "span_id": CALLER[36:52], "attributes": {"why": "retry"}},
    ]


def test_a_span_carries_no_more_than_its_limits() -> None:
    """Attributes, events, links and the length of a value are bounded; what was left out is counted."""
    client = Client(MemorySink(), "test", limits=Limits(attributes=3, value_length=5, events=1, links=1))
    with capture(client) as captured:
        with client.span("big", links=[CALLER, CALLER]) as span:
            span.set_attributes({str(number): "x" * 100 for number in range(10)})
            span.set_attribute("0", "again")
            span.add_event("first")
            span.add_event("second")
        end = captured.events[-1]
        assert end["attributes"] == {"0": "again", "1": "xxxxx", "2": "xxxxx"}
        assert (len(end["events"]), len(end["links"])) == (1, 1)
        assert client.counts["attributes_left_out"] == 7 + 1 + 1
    client.close(0)


def test_a_clock_that_is_set_back_gives_no_negative_duration(spans: Capture) -> None:
    """Times of a tree of spans come from one reading of the wall clock and monotonic time."""
    with spans.client.span("outer"):
        spans.clock.advance(1)
        spans.clock.set_wall(-3600)
        with spans.client.span("inner"):
            spans.clock.advance(1)
    outer, inner = spans.span("outer"), spans.span("inner")
    assert outer.end_unix_nano - outer.start_unix_nano == 2_000_000_000
    assert inner.start_unix_nano - outer.start_unix_nano == 1_000_000_000
    assert inner.end_unix_nano == outer.end_unix_nano


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"service": ""}, "service is the name of your program"),
        ({"heartbeat": 0}, "heartbeat is a positive number of seconds"),
        ({"heartbeat": 5, "initial_delay": 6}, "initial_delay is longer than heartbeat"),
        ({"start": "soon"}, "start is eager or lazy"),
        ({"on_pause": "stop"}, "on_pause is background or partial"),
        ({"resource": {"a": object()}}, "resource has a value"),
        ({"buffer": 0}, "buffer is a number of events"),
        ({"sink": None}, "sink is a URL .* or a sink, not a NoneType"),
        ({"sink": "nowhere"}, "'nowhere' names no sink"),
        ({"sink": "ftp://x"}, "'ftp://x' names no sink"),
        ({"instance_id": "pod-1", "heartbeat": None}, "an instance_id without a heartbeat"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(settings: dict[str, Any], said: str) -> None:
    """The one place where the client raises: at its making, where a developer sees it."""
    with pytest.raises(ValueError, match=said):
        Client(**{"sink": MemorySink(), "service": "test", **settings})
