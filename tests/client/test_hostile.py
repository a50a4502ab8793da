"""Whatever an app gives, it notices nothing, and the worker can read what is sent."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.client.attributes import Limits, clean
from finalizer.client.events import MAX_BYTES
from finalizer.client.testing import capture
from finalizer.codecs.description import describe
from finalizer.codecs.native import NativeDecoder
from finalizer.core.model import Coordinates, Evidence, Layer

PLACE = Coordinates("spans.events", 0, 0, 0)
SURROGATES = st.text(st.characters(codec=None, categories=("L", "Cs", "Cc", "So")), max_size=20)


class Word(StrEnum):
    """A string of a class of its own."""

    A = "a"


class Hostile:
    """An object of which nothing may be asked, as lazy ones that reach for a database which is gone."""

    def __bool__(self) -> bool:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError

    def __float__(self) -> float:
        raise RuntimeError


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**4000, 10**4001)
    | st.floats()
    | SURROGATES
    | st.binary(max_size=5)
    | st.sampled_from([Word.A, Hostile, object(), 1j, len])
    | st.builds(Hostile)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(SURROGATES | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers(), max_size=3)
    ),
    max_leaves=12,
)


def decoded(event: dict[str, Any]) -> Evidence:
    """The event as the worker reads it."""
    return NativeDecoder().decode(json.dumps(event).encode(), PLACE)


@given(name=ANYTHING, attributes=st.dictionaries(SURROGATES, ANYTHING, max_size=6) | ANYTHING, other=ANYTHING)
@settings(max_examples=100)
def test_nothing_that_an_app_gives_raises_or_is_unreadable(name: Any, attributes: Any, other: Any) -> None:
    """Every method takes anything at all; every event that comes of it is evidence to the worker."""
    with capture() as captured:
        client = captured.client
        with client.span(name, attributes=attributes, span_type=other, timeout=other, links=[other]) as span:
            span.progress(other, attributes)
            span.set_attribute(other, attributes)
            span.set_attributes(attributes)
            span.set_status(other, name)
            span.add_event(name, attributes)
            span.add_link(other, attributes)
            span.update_name(other)
            captured.advance(20)
            span.end(name, other, reason=other)
        client.start_span(name, traceparent=other, tracestate=other, session_id=other, heartbeat=other).partial(other)
        for event in captured.events:
            evidence = decoded(event)
            if evidence.body is not None:
                describe([Layer(evidence.at, evidence.seq, evidence.body)])


def test_an_object_that_does_its_work_when_it_is_asked_what_it_is_is_left_alone() -> None:
    """Lazy objects (Django's `request.user`) reach for the database at `isinstance`: nobody asks them."""

    class Lazy:
        __class__ = property(lambda _: 1 / 0)

    with capture() as captured:
        lazy: Any = Lazy()
        with captured.client.span("view", attributes={"user": lazy, "path": "/"}, timeout=lazy) as span:
            span.progress(lazy, lazy)
        assert captured.span("view").attributes == {"path": "/"}


def test_deep_and_endless_values_are_cut() -> None:
    """A value that holds itself, or a million of others, costs no more than a bounded part of it."""
    endless: list[Any] = [1]
    endless.append(endless)
    cleaned, left_out = clean({"endless": endless, "wide": list(range(10**6)), "deep": _deep(1000)}, Limits())
    assert left_out == 0
    assert len(json.dumps(cleaned)) < 20_000


def test_an_event_stays_below_what_a_broker_takes() -> None:
    """Its events and links go first, then the length of its values; who it is stays."""
    with capture() as captured:
        with captured.client.span("large", attributes={str(number): "ü" * 4096 for number in range(128)}) as span:
            for _ in range(128):
                span.add_event("step", {str(number): "x" * 4096 for number in range(4)})
        end = captured.events[-1]
        assert len(json.dumps(end, ensure_ascii=False).encode()) <= MAX_BYTES
        assert "events" not in end
        assert (end["name"], len(end["attributes"])) == ("large", 128)
        assert decoded(end).end is not None


def test_an_app_that_changes_what_it_gave_changes_nothing_that_is_sent() -> None:
    """Lists and objects are copied when they are told: the event is made later, on another thread."""
    tags, more = ["a"], {"b": [1]}
    with capture() as captured:
        with captured.client.span("job", attributes={"tags": tags, "more": more}):
            tags.append("z")
            more["b"].append(2)
        assert captured.span("job").attributes == {"tags": ["a"], "more": {"b": [1]}}


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value
