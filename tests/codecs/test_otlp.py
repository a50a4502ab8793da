"""Finals as OTLP: strict, deterministic, the same in both encodings, and small enough for their topic."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer import codecs
from finalizer.codecs import otlp_json, short
from finalizer.codecs.description import NATIVE_SCOPE, describe
from finalizer.codecs.fitting import LEAST_LIMIT
from finalizer.codecs.otlp import MissingExtra, encode_json, encode_proto
from finalizer.codecs.short import short_request
from finalizer.codecs.values import present
from finalizer.codecs.verdict import PREFIX
from finalizer.core.model import Final
from tests.codecs.reading import Read, read_json, read_proto
from tests.codecs.spans import SPAN, T0, TERMS, TRACE, end, heartbeat, presumed, reported, start
from tests.codecs.strategies import histories

Encode = Callable[[Final], bytes]
Reader = Callable[[bytes], Read]
ENCODINGS = [pytest.param(encode_json, read_json, id="json"), pytest.param(encode_proto, read_proto, id="proto")]
NINE_SECONDS = 9_000_000_000
KEPT = (otlp_json.block, otlp_json._stated, otlp_json._kept_resource, short._pieces, short._resource)


def stripped(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes without our prefix, for short."""
    return {name.removeprefix(PREFIX): value for name, value in attributes.items()}


def test_a_reported_final_says_what_the_client_said() -> None:
    """Ids, name, kind, parent, times, attributes and status are the client's; of ours only what every final has."""
    final = reported(
        start(kind="client", parent_span_id="D6FFE16BD5B6A3C1", trace_state="a=b", attributes={"a": [1, "x", None]}),
        heartbeat(attributes={"b": {"c": True, "d": None}}, progress=0.5, seq=4),
        end(status={"code": "error", "message": "disk full"}),
    )
    span = read_json(encode_json(final))
    assert (span.trace_id, span.span_id, span.parent_span_id) == (TRACE, SPAN, "d6ffe16bd5b6a3c1")
    assert (span.name, span.kind, span.trace_state, span.scope) == ("upload", 3, "a=b", NATIVE_SCOPE)
    assert (span.start, span.end, span.status) == (T0, T0 + NINE_SECONDS, (2, "disk full"))
    assert stripped(span.attributes) == {
        "a": [1, "x", None],
        "b": {"c": True},
        "cause": "completed",
        "status": "completed",
        "incomplete": False,
        "revision": 1,
        "rule": TERMS.rule,
        "policy": TERMS.policy,
    }


def test_a_presumed_final_says_why_and_from_what() -> None:
    """What we inferred is marked, with the evidence: last seen, deadline, sequence number, progress, rule, policy."""
    final = presumed(start(span_type="upload", op_id="o-1", session_id="s-1"), heartbeat(progress=0.25, seq=4))
    span = read_json(encode_json(final))
    assert (span.end, span.status) == (T0 + 5_000_000_000, (2, ""))
    assert stripped(span.attributes) == {
        "synthetic": True,
        "partial.gc": True,
        "error.type": "heartbeat-lost",
        "session.id": "s-1",
        "cause": "heartbeat_lost",
        "status": "dead",
        "reason": "heartbeat-lost",
        "incomplete": True,
        "last_seen_unix_nano": T0 + 5_000_000_000,
        "deadline_unix_nano": final.closed.deadline_at,
        "last_seq": 4,
        "progress": 0.25,
        "rule": TERMS.rule,
        "policy": TERMS.policy,
        "revision": 1,
        "span_type": "upload",
        "op_id": "o-1",
    }


def test_what_was_never_told_is_not_said() -> None:
    """No sequence number, no progress, no kind: no attribute and no field, not a zero."""
    data = encode_json(presumed(start()))
    assert b"last_seq" not in data
    assert b".progress" not in data
    assert b'"kind"' not in data
    assert b"parentSpanId" not in data


def test_the_clients_own_word_is_the_reason() -> None:
    """A completed span keeps the client's reason; an abandoned one says `client-crash` and is an error."""
    cancelled = read_json(encode_json(reported(start(), end(reason="cancelled")))).attributes
    assert (cancelled[PREFIX + "reason"], cancelled[PREFIX + "incomplete"]) == ("cancelled", False)
    abandoned = read_json(encode_json(reported(start(), end(reason="abandoned"))))
    assert abandoned.status == (2, "")
    assert abandoned.attributes[PREFIX + "reason"] == "client-crash"
    assert PREFIX + "synthetic" not in abandoned.attributes
    assert "error.type" not in abandoned.attributes


@pytest.mark.parametrize(("encode", "read"), ENCODINGS)
def test_nobody_can_speak_in_our_name(encode: Encode, read: Reader) -> None:
    """`span_finalizer.*` of a client is not passed on; OpenTelemetry's own names are, even where we would set them."""
    theirs = {PREFIX + "cause": "completed", PREFIX + "made_up": 1, "partial.gc": False, "error.type": "Timeout"}
    span = read(encode(presumed(start(attributes=theirs), heartbeat()))).attributes
    assert (span[PREFIX + "cause"], span["partial.gc"], span["error.type"]) == ("heartbeat_lost", True, "Timeout")
    assert PREFIX + "made_up" not in span
    kept = read(encode(reported(start(attributes=theirs | {PREFIX + "synthetic": True}), end()))).attributes
    assert PREFIX + "synthetic" not in kept
    assert (kept["partial.gc"], kept[PREFIX + "cause"]) == (False, "completed")


@pytest.mark.parametrize(("encode", "read"), ENCODINGS)
def test_an_end_before_its_start_is_at_its_start(encode: Encode, read: Reader) -> None:
    """A client's clock may jump back; no final ends before it starts, whoever made it."""
    final = reported(start(), end(time_unix_nano=T0 - 1))
    span = read(encode(final.but(closed=final.closed.but(end_at=T0 - 1))))
    assert (span.start, span.end) == (T0, T0)


def test_a_span_without_a_name_gets_none() -> None:
    """A span that only ever beat, with its start but without a name, is finalized; a name is not invented."""
    span = read_json(encode_json(presumed(heartbeat(start_time_unix_nano=T0))))
    assert (span.name, span.start) == ("", T0)


@given(histories, st.sampled_from(["", "partial", "cancelled", "abandoned"]), st.booleans())
def test_both_encodings_say_the_same(history: tuple[bytes, ...], reason: str, ended: bool) -> None:
    """JSON and protobuf describe the same span, whatever it is made of."""
    final = reported(*history, end(reason=reason)) if ended else presumed(*history)
    as_json, as_proto = read_json(encode_json(final)), read_proto(encode_proto(final))
    assert as_json == as_proto
    assert repr(as_json) == repr(as_proto)


@given(histories)
def test_attributes_come_out_as_they_went_in(history: tuple[bytes, ...]) -> None:
    """Decoded, folded, encoded and read back, attributes have the values and types that the client sent."""
    final = reported(*history, end())
    sent = describe(final.layers)
    span = read_json(encode_json(final))
    theirs = {name: value for name, value in span.attributes.items() if not name.startswith(PREFIX)}
    if sent.session_id and "session.id" not in sent.attributes:
        assert theirs.pop("session.id") == sent.session_id
    expected = {name: value for name, value in sent.attributes.items() if not name.startswith(PREFIX)}
    assert _without_nulls(theirs) == _without_nulls(expected)
    assert _without_nulls(span.resource) == _without_nulls(sent.resource)


def _without_nulls(value: Any) -> str:
    def clean(inner: Any) -> Any:
        if isinstance(inner, dict):
            return {name: clean(item) for name, item in sorted(present(inner).items())}
        return [clean(item) for item in inner] if isinstance(inner, list) else inner

    return repr(clean(value))


@settings(max_examples=30)
@given(histories)
def test_the_same_final_has_the_same_bytes(history: tuple[bytes, ...]) -> None:
    """A repeated final is byte for byte the same: with what was kept rendered, and without."""
    for final, again in ((presumed(*history), presumed(*history)), (reported(*history, end()), None)):
        as_json, as_proto = encode_json(final), encode_proto(final)
        for kept in KEPT:
            kept.cache_clear()
        assert encode_json(again or final) == as_json
        assert encode_proto(again or final) == as_proto


@settings(max_examples=200)
@given(histories)
def test_the_short_way_to_a_final_changes_no_byte(history: tuple[bytes, ...]) -> None:
    """A final that is written without a description has the bytes that it has with one; most are written so."""
    for final in (reported(history[0], end()), presumed(*history)):
        assert short_request(final) in (None, otlp_json.request(final, describe(final.layers)))
    common = start(kind="client", attributes={"a": 1, "error.type": "theirs", "partial.gc": "theirs", "z": "\u00e9"})
    for final in (reported(common, end()), presumed(common), presumed(common, heartbeat(seq=4, progress=0.5))):
        assert short_request(final) == otlp_json.request(final, describe(final.layers))


def test_values_that_are_equal_but_not_the_same_keep_their_type() -> None:
    """1, 1.0 and true are equal to Python; what is kept rendered must not mix them up."""
    for value in (1, 1.0, True):
        final = reported(start(attributes={"a": value}, resource={"r": value}), end())
        span = read_json(encode_json(final))
        assert repr((span.attributes["a"], span.resource["r"])) == repr((value, value))


@pytest.mark.parametrize("size", [256, 257])
def test_what_is_kept_rendered_is_bounded(size: int) -> None:
    """A client cannot fill our memory with long span types or resources: only short ones are kept."""
    final = reported(start(span_type="t" * size, resource={"r": "r" * size * 16}), end())
    for kept in KEPT:
        kept.cache_clear()
    assert read_json(encode_json(final)) == read_proto(encode_proto(final))
    kept_sizes = [kept.cache_info().currsize for kept in (otlp_json.block, otlp_json._stated)]
    assert kept_sizes == ([1, 1] if size == 256 else [0, 0])
    assert otlp_json._kept_resource.cache_info().currsize == short._resource.cache_info().currsize == 0


BIG = start(
    attributes={"small": 1, "large": "x" * 200_000, "larger": ["y" * 300_000]},
    resource={"service.name": "app", "huge": "z" * 400_000},
    events=[{"time_unix_nano": T0, "name": "e" * 100_000}],
    links=[{"trace_id": TRACE, "span_id": SPAN, "attributes": {"l": "l" * 90_000}}],
)


@pytest.mark.parametrize("encode", [encode_json, encode_proto])
@pytest.mark.parametrize(
    ("max_bytes", "left_out"), [(2_000_000, 0), (1_000_000, 1), (500_000, 2), (300_000, 3), (100_000, 4), (80_000, 5)]
)
def test_what_is_too_large_loses_its_largest_parts(encode: Any, max_bytes: int, left_out: int) -> None:
    """Only as much is left out as must be, the largest first, and the final says how much."""
    final = reported(BIG, end())
    data = encode(final, max_bytes=max_bytes)
    assert len(data) <= max_bytes
    assert encode(final, max_bytes=max_bytes) == data
    span = read_json(data) if encode is encode_json else read_proto(data)
    assert span.attributes.get(PREFIX + "truncated", 0) == left_out
    assert (span.attributes["small"], span.resource["service.name"]) == (1, "app")
    sizes = {"huge": span.resource, "larger": span.attributes, "large": span.attributes}
    assert [name for name, there in sizes.items() if name not in there] == list(sizes)[:left_out]
    assert span.dropped == (len({"larger", "large"} - span.attributes.keys()), not span.events, not span.links)


def test_even_a_name_is_cut_before_a_final_is_lost() -> None:
    """Every final fits into the least limit, whatever its client sent; a smaller limit is a mistake of ours."""
    long = "\x01" * 1_000_000
    many = {f"{number:05}": number for number in range(2_000)}
    final = reported(
        start(name=long, span_type=long, session_id=long, op_id=long, trace_state=long, attributes=many),
        end(status={"code": 2, "message": long}, reason=long),
    )
    span = read_json(encode_json(final, max_bytes=LEAST_LIMIT))
    assert (span.name, span.trace_state) == (long[:128], "")
    assert span.attributes[PREFIX + "truncated"] == 2_000
    with pytest.raises(ValueError, match="too small"):
        encode_json(final, max_bytes=LEAST_LIMIT - 1)


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without opentelemetry-proto the error names the package and the command, not a traceback of imports."""
    monkeypatch.delattr(codecs, "otlp_proto", raising=False)
    monkeypatch.setitem(sys.modules, "finalizer.codecs.otlp_proto", None)
    with pytest.raises(MissingExtra, match=r"pip install 'span-finalizer\[otlp\]'"):
        encode_proto(reported(start(), end()))


def test_a_history_that_may_be_forgotten_is_marked() -> None:
    """An end from before the memory horizon may be the second one: the final says that we cannot know."""
    final = reported(start(), end())
    closed = final.closed
    assert PREFIX + "history" not in read_json(encode_json(final)).attributes
    marked = final.but(closed=closed.but(history_unknown=True))
    assert read_json(encode_json(marked)).attributes[PREFIX + "history"] == "unknown"
