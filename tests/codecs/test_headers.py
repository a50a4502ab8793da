"""What stands beside a final in Kafka."""

from __future__ import annotations

from finalizer.codecs.headers import final_headers, final_id
from finalizer.codecs.otlp import JSON
from tests.codecs.spans import SOURCE, SPAN, TERMS, TRACE, end, heartbeat, presumed, reported, start


def test_headers_say_what_why_and_from_where() -> None:
    """A reader can route and trace a final without parsing it; the source is that of the last evidence."""
    final = reported(start(), end(reason="partial"))
    assert sorted(final_headers(final, JSON)) == [
        ("content-type", b"application/json"),
        ("span-finalizer-cause", b"partial"),
        ("span-finalizer-detected-at", str(final.closed.detected_at).encode()),
        ("span-finalizer-id", final_id(final).encode()),
        ("span-finalizer-revision", b"1"),
        ("span-finalizer-source-offset", str(SOURCE.offset + 1).encode()),
        ("span-finalizer-source-partition", str(SOURCE.partition).encode()),
        ("span-finalizer-source-topic", SOURCE.topic.encode()),
        ("traceparent", f"00-{TRACE}-{SPAN}-01".encode()),
    ]


def test_an_id_is_of_span_verdict_and_revision() -> None:
    """A repeat has the same id; another span, the other kind of verdict and another revision have others."""
    final = presumed(start(), heartbeat())
    ids = {
        final_id(final),
        final_id(reported(start(), end())),
        final_id(final.but(key=final.key[::-1])),
        final_id(final.but(closed=final.closed.but(revision=2))),
    }
    assert len(ids) == 4
    assert all(len(one) == 32 for one in ids)
    later = final.but(closed=final.closed.but(detected_at=1, end_at=2), rule="other", policy=TERMS.policy)
    assert final_id(later) == final_id(final)


def test_an_id_never_changes() -> None:
    """Readers drop repeats by id, across releases: this one is pinned."""
    assert final_id(reported(start(), end())) == "e6a36a1e6cc9041f314ca2590ee85372"
