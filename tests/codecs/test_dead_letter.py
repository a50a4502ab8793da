"""Dead letters: one flat object that follows its schema, whatever is missing."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finalizer.codecs.dead_letter import Letter, _encode, _letter, encode
from finalizer.codecs.description import describe
from finalizer.codecs.fitting import LEAST_LIMIT
from finalizer.codecs.headers import final_id, letter_headers
from finalizer.codecs.short import short_letter
from finalizer.codecs.verdict import facts_of
from finalizer.core.causes import FACTS, Cause
from finalizer.core.model import Final
from tests.codecs.spans import SOURCE, SPAN, T0, TERMS, TRACE, end, heartbeat, presumed, reported, start
from tests.codecs.strategies import histories

SCHEMA = json.loads(resources.files("finalizer").joinpath("schemas/dead_letter.schema.json").read_text("utf-8"))


def letter(final: Final, kind: str = "incomplete", max_bytes: int | None = None) -> dict[str, Any]:
    """The dead letter, which follows its schema."""
    content: dict[str, Any] = json.loads(encode(final, kind=kind, max_bytes=max_bytes))
    jsonschema.validate(content, SCHEMA)
    return content


def test_a_dead_letter_says_what_is_known() -> None:
    """Cause, words, rule, times and the places of the evidence stand beside the span itself."""
    final = presumed(start(), heartbeat(seq=4))
    content = letter(final)
    place = {"topic": "spans.events", "partition": 3, "offset": 1041, "heard_at_unix_nano": str(SOURCE.heard_at)}
    assert content["start_evidence"] == content["first_evidence"] == place
    assert content["last_evidence"]["offset"] == 1042
    assert (content["kind"], content["incomplete"], content["revision"]) == ("incomplete", True, 1)
    assert (content["cause"], content["status"], content["reason"]) == ("heartbeat_lost", "dead", "heartbeat-lost")
    assert (content["rule"], content["policy"]) == (TERMS.rule, TERMS.policy)
    assert content["last_seen_unix_nano"] == str(T0 + 5_000_000_000)
    assert content["deadline_unix_nano"] == str(final.closed.deadline_at)
    assert (content["span"]["traceId"], content["span"]["spanId"]) == (TRACE, SPAN)
    assert content["final_id"] == final_id(final)


def test_what_to_group_by_stands_flat() -> None:
    """Service, version, device and so on stand at the top level, from the attribute or the resource that has them."""
    final = presumed(
        start(
            span_type="upload",
            resource={"service.name": "app", "service.version": 7, "device.model.identifier": "SM-G991B"},
            attributes={"network.connection.type": "cell", "url.full": "https://a.b/c?token=1#x", "os.type": "linux"},
        )
    )
    content = letter(final)
    flat = ("service", "version", "span_type", "span_name", "device_model", "network", "endpoint", "os")
    said = ["app", "7", "upload", "upload", "SM-G991B", "cell", "https://a.b/c", "linux"]
    assert [content[name] for name in flat] == said
    silent = letter(presumed(heartbeat(start_time_unix_nano=T0)))
    assert [silent[name] for name in flat] == [None] * len(flat)


FLAT = st.dictionaries(
    st.sampled_from(
        ["service.name", "device.model.identifier", "http.route", "url.full", "os.name", "error.type", "partial.gc"]
    ),
    st.sampled_from(["app", "", "/a?b#c", "\u00e9\u2028\x7f\x00", 7, 7.5, True, None, ["x"]]),
)


@given(histories, FLAT, FLAT)
def test_the_short_way_to_a_letter_changes_no_byte(
    history: tuple[bytes, ...], attributes: dict[str, Any], resource: dict[str, Any]
) -> None:
    """A letter that is written without a description has the bytes that it has with one; most are written so."""
    common = presumed(start(attributes=attributes, resource=resource), heartbeat(progress=0.25))
    late = reported(history[0], end())
    for final in (common, presumed(*history), late, late.but(start_at=None)):
        for kind in ("incomplete", "resolved"):
            long = _encode(_letter(final, describe(final.layers), kind=kind))
            assert short_letter(final, kind=kind) in (None, long)
    for final in (presumed(start()), reported(start(), end())):
        assert short_letter(final, kind="incomplete") is not None


def test_a_span_without_a_start_is_a_dead_letter_only() -> None:
    """`missing_start` has no times in its span, and no final of which it would be a revision."""
    final = presumed(heartbeat(attributes={"a": 1}))
    content = letter(final, "missing_start")
    assert (content["cause"], content["status"], content["incomplete"]) == ("missing_start", "unknown", True)
    assert (content["start_evidence"], content["revision"]) == (None, 0)
    assert "startTimeUnixNano" not in content["span"]
    assert "endTimeUnixNano" not in content["span"]
    names = {item["key"] for item in content["span"]["attributes"]}
    assert "a" in names
    assert not names & {"span_finalizer.synthetic", "partial.gc"}


def test_an_answer_is_not_incomplete() -> None:
    """A late end resolves: same span, no deadline, complete after all."""
    final = reported(start(), end())
    content = letter(final, "resolved")
    assert (content["incomplete"], content["deadline_unix_nano"], content["cause"]) == (False, None, "completed")
    assert list(letter_headers(final, kind="resolved")) == [
        ("content-type", b"application/json"),
        ("dlq.kind", b"resolved"),
        ("span-finalizer-id", final_id(final).encode()),
        ("span-finalizer-cause", b"completed"),
    ]


@pytest.mark.parametrize("cause", [*Cause, None])
def test_every_cause_has_a_letter(cause: Cause | None) -> None:
    """The schema knows each cause and each word of the table of causes."""
    final = presumed(start())
    content = letter(final.but(closed=final.closed.but(cause=cause)))
    assert content["status"] == facts_of(cause).status_word
    assert set(SCHEMA["properties"]["cause"]["enum"]) == {one.value for one in Cause} | {"missing_start"}
    assert set(SCHEMA["properties"]["status"]["enum"]) == {facts.status_word for facts in FACTS.values()}


def test_the_schema_names_every_field() -> None:
    """Schema and letter have the same fields, all of them required: tools may rely on each column."""
    assert list(SCHEMA["properties"]) == SCHEMA["required"] == list(Letter.__struct_fields__)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@given(histories, st.booleans())
def test_every_letter_follows_its_schema(history: tuple[bytes, ...], whole: bool) -> None:
    """Whatever the span is made of, with or without its start; and a repeat has the same bytes."""
    final = presumed(*(history if whole else history[1:] or [heartbeat()]))
    letter(final)
    assert encode(final, kind="incomplete") == encode(final, kind="incomplete")


def test_a_letter_too_large_loses_its_largest_parts() -> None:
    """What is left out of the span is left out of the flat fields with it."""
    final = presumed(start(attributes={"os.name": "x" * 200_000, "a": 1}))
    assert letter(final)["os"] == "x" * 200_000
    content = letter(final, max_bytes=LEAST_LIMIT)
    assert content["os"] is None
    assert {"key": "span_finalizer.truncated", "value": {"intValue": "1"}} in content["span"]["attributes"]
