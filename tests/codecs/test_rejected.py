"""Unusable records keep what they came with, and say why they are here."""

from __future__ import annotations

import pytest

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.record_headers import Header
from finalizer.codecs.rejected import fit, rejected_headers
from tests.codecs.spans import decode


def headers(*original: Header, detail: str = "type is missing") -> list[Header]:
    """The headers of a record that was refused, and that came with `original`."""
    return rejected_headers(
        original,
        topic="spans.events",
        partition=3,
        offset=1041,
        reason=Reason.MISSING_FIELD,
        detail=detail,
        stage="decode",
        exception_class="Unusable",
    )


def test_headers_are_those_of_connect() -> None:
    """Tools for Kafka Connect's dead letters read ours: the same names, all values UTF-8 text."""
    assert headers() == [
        ("dlq.reason", b"missing_field"),
        ("dlq.detail", b"type is missing"),
        ("__connect.errors.topic", b"spans.events"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"1041"),
        ("__connect.errors.stage", b"decode"),
        ("__connect.errors.exception.class.name", b"Unusable"),
        ("__connect.errors.exception.message", b"missing_field: type is missing"),
    ]


def test_what_the_record_brought_is_kept() -> None:
    """Original headers stay byte for byte, in order, repeats included; one that is there is not said again."""
    original = [("a", b"\xff"), ("a", b""), ("a", None), ("__connect.errors.topic", b"where-it-was-first"), ("b", b"1")]
    kept = headers(*original)
    assert kept[:5] == original
    assert [name for name, _ in kept].count("__connect.errors.topic") == 1
    assert ("__connect.errors.offset", b"1041") in kept


def test_any_detail_is_a_header() -> None:
    """A detail with text that UTF-8 cannot carry does not lose the record."""
    assert ("dlq.detail", b"\\ud800") in headers(detail="\ud800")


def test_a_record_too_large_keeps_its_first_bytes() -> None:
    """What does not fit is cut, and a header tells the original size; what fits is untouched."""
    assert fit(b"abcdef", 4) == (b"abcd", [("dlq.truncated", b"6")])
    assert fit(b"abcd", 4) == (b"abcd", [])
    assert fit(None, 4) == (None, [])


def test_a_detail_is_one_short_printable_line() -> None:
    """Details go into headers and logs: no line breaks, no control characters, a bounded length."""
    error = Unusable(Reason.MALFORMED, "a\nb\x00" + "ü" * 1000)
    assert error.detail == "a b " + "ü" * 296
    assert error.reason is Reason.MALFORMED
    with pytest.raises(Unusable, match="empty: the record has no value"):
        decode(None)
