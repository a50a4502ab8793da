"""What waits in memory is bounded, and what is dropped is what matters least."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from finalizer.client import Client
from finalizer.client.buffer import END, HEARTBEAT, LIFECYCLE, START, Buffer, Event
from finalizer.client.span import Span
from finalizer.client.testing import MemorySink, capture

RANKS = {HEARTBEAT: 0, LIFECYCLE: 1, "covered": 2, START: 3, END: 4}
KINDS = st.sampled_from([START, HEARTBEAT, LIFECYCLE, END])


def spans(count: int) -> list[Span]:
    """Some spans, of a client that sends nothing anywhere."""
    with capture() as captured:
        return [captured.client.start_span(str(number)) for number in range(count)]


SPANS = spans(4)


@given(story=st.lists(st.tuples(KINDS, st.integers(0, 3)), max_size=40), most=st.integers(1, 8))
def test_the_least_goes_first_whatever_comes(story: list[tuple[str, int]], most: int) -> None:
    """Never more than `most`; nothing is dropped while what matters less is kept; each span's order stays."""
    buffer = Buffer(most)
    kept: list[tuple[str, int, int]] = []
    for at, (kind, number) in enumerate(story):
        buffer.put(Event(kind, SPANS[number], at, at))
        kept = _model(kept, (kind, number, at), most)
        assert len(buffer) <= most
    taken = [(event.kind, SPANS.index(event.span), event.at) for event in buffer.take(100) if event.span is not None]
    assert sorted(taken, key=lambda one: one[2]) == kept
    for number in range(4):
        order = [at for _, of, at in taken if of == number]
        assert order == sorted(order)
    assert len(buffer) == 0


def _model(kept: list[tuple[str, int, int]], event: tuple[str, int, int], most: int) -> list[tuple[str, int, int]]:
    """The same, as one would say it: slowly, on one list."""
    kind, number, _ = event
    if kind == HEARTBEAT:
        kept = [one for one in kept if one[:2] != (HEARTBEAT, number)]
    if kind == END:
        kept = [one for one in kept if one[:2] != (HEARTBEAT, number)]
    covered_before = _covered(kept)
    if kind == START:
        kept = [one for one in kept if one[:2] != (START, number) or one in covered_before]
    kept = [*kept, event]
    while len(kept) > most:
        covered = _covered(kept)
        ranked = [(RANKS["covered"], covered[one], one) for one in covered]
        ranked += [(RANKS[one[0]], one[2], one) for one in kept if one not in covered]
        kept.remove(min(ranked)[2])
    return kept


def _covered(kept: list[tuple[str, int, int]]) -> dict[tuple[str, int, int], int]:
    """Starts after which an end of the same span came, and when the first such end came."""
    ends = {}
    for kind, number, at in reversed(kept):
        for start in kept:
            if kind == END and start[:2] == (START, number) and start[2] < at:
                ends[start] = at
    return ends


def test_what_was_dropped_is_told_by_the_next_event() -> None:
    """An SRE who looks at a final sees that its client could not say everything."""
    client = Client(MemorySink(), "test", buffer=2)
    with capture(client) as captured:
        captured.sink.down = True
        for number in range(10):
            client.start_span(str(number)).end()
        captured.sink.down = False
        captured.advance(60)
        client.start_span("next").end()
        told = Counter[str]()
        for span in captured.spans:
            told.update({key: count for key, count in span.attributes.items() if "dropped" in key})
        counts = client.counts
    client.close(0)
    assert sum(told.values()) >= 10
    assert told["finalizer.client.dropped.start"] == counts["dropped_start"]
    assert told["finalizer.client.dropped.end"] == counts["dropped_end"]


def test_a_dropped_heartbeat_leaves_its_news_to_the_next() -> None:
    """Progress that was told in an event that was dropped is told again."""
    buffer = Buffer(1)
    span, other = spans(2)
    span.changed = False
    buffer.put(Event(HEARTBEAT, span, 1, 1))
    buffer.put(Event(END, other, 2, 1))
    assert span.changed
    assert buffer.dropped[HEARTBEAT] == 1


def test_many_threads_lose_nothing() -> None:
    """What all put is what is taken: in the order of each, and only once."""
    buffer = Buffer(100_000)
    (span,) = spans(1)
    taken: list[Event] = []
    done = threading.Event()

    def put(number: int) -> None:
        for seq in range(2000):
            buffer.put(Event(END, span, number, seq))

    def take() -> None:
        while not done.is_set() or len(buffer):
            taken.extend(buffer.take(50))

    threads = [threading.Thread(target=put, args=[number]) for number in range(4)]
    taker = threading.Thread(target=take)
    for thread in (*threads, taker):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    taker.join()
    by_thread = {number: [event.seq for event in taken if event.at == number] for number in range(4)}
    assert by_thread == {number: list(range(2000)) for number in range(4)}


def test_memory_is_bounded_while_the_sink_is_down() -> None:
    """Ten minutes without a network: no more is kept than the buffer holds, and all of it arrives afterwards."""
    client = Client(MemorySink(), "test", buffer=100)
    with capture(client) as captured:
        captured.sink.down = True
        for number in itertools.count():
            captured.advance(1)
            client.start_span(f"open {number}")
            client.start_span(f"short {number}").end()
            if number == 600:
                break
        assert client.counts["buffered"] <= 100
        captured.sink.down = False
        captured.advance(60)
        assert client.flush(0)
        assert len(captured.events) >= 100
        assert json.loads(captured.sink.records[-1].value)
    client.close(0)
