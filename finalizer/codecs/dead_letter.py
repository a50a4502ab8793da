"""Dead letters: an incomplete span as one flat JSON object, made to be grouped, searched and replayed.

The schema is `finalizer/schemas/dead_letter.schema.json`. 64-bit integers are strings, as in OTLP/JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from finalizer.codecs import otlp_json
from finalizer.codecs.description import Description, describe
from finalizer.codecs.fitting import fitted
from finalizer.codecs.headers import Header, final_id
from finalizer.codecs.verdict import cause_word, facts_of
from finalizer.core import model

_DEVICE: Final = ("device.model.name", "device.model.identifier")
_NETWORK: Final = ("network.connection.type",)
_ENDPOINT: Final = ("http.route", "url.template", "url.full", "server.address")
_OS: Final = ("os.name", "os.type")


class Place(msgspec.Struct, frozen=True):
    """Where a piece of evidence stands in Kafka, and the broker's time (ns) for it."""

    topic: str
    partition: int
    offset: int
    heard_at_unix_nano: str


class Letter(msgspec.Struct, frozen=True):
    """A dead letter. The fields from `service` on are null where the span does not say."""

    kind: str
    incomplete: bool
    cause: str
    status: str
    reason: str
    rule: str
    policy: str
    revision: int
    final_id: str
    trace_id: str
    span_id: str
    last_seen_unix_nano: str
    deadline_unix_nano: str | None
    detected_at_unix_nano: str
    start_evidence: Place | None
    first_evidence: Place
    last_evidence: Place
    service: str | None
    version: str | None
    span_type: str | None
    span_name: str | None
    device_model: str | None
    network: str | None
    endpoint: str | None
    os: str | None
    resource: msgspec.Raw
    span: msgspec.Raw


_encode = msgspec.json.Encoder().encode


def encode(final: model.Final, *, kind: str, max_bytes: int | None = None) -> bytes:
    """The dead letter of a final, or of a span without one.

    `kind` is incomplete, resolved, missing_start or late_end. What does not fit into `max_bytes` is left out.
    """
    return fitted(
        describe(final.layers), lambda description: _encode(_letter(final, description, kind=kind)), max_bytes
    )


def letter_headers(final: model.Final, *, kind: str) -> list[Header]:
    """The headers of a dead letter."""
    return [
        ("content-type", b"application/json"),
        ("dlq.kind", kind.encode()),
        ("span-finalizer-id", final_id(final).encode()),
        ("span-finalizer-cause", cause_word(final.closed.cause).encode()),
    ]


def _letter(final: model.Final, description: Description, *, kind: str) -> Letter:
    closed, facts, ids = final.closed, facts_of(final.closed.cause), final.key.hex()
    return Letter(
        kind=kind,
        incomplete=facts.incomplete,
        cause=cause_word(closed.cause),
        status=facts.status_word,
        reason=closed.reason,
        rule=final.rule,
        policy=final.policy,
        revision=closed.revision,
        final_id=final_id(final),
        trace_id=ids[:32],
        span_id=ids[32:],
        last_seen_unix_nano=str(closed.last_seen),
        deadline_unix_nano=str(closed.deadline_at) if closed.deadline_at else None,
        detected_at_unix_nano=str(closed.detected_at),
        start_evidence=_place(final.start) if final.start is not None else None,
        first_evidence=_place(final.first),
        last_evidence=_place(closed.last),
        service=_first(description, ("service.name",)),
        version=_first(description, ("service.version",)),
        span_type=description.span_type,
        span_name=description.name,
        device_model=_first(description, _DEVICE),
        network=_first(description, _NETWORK),
        endpoint=_endpoint(description),
        os=_first(description, _OS),
        resource=msgspec.Raw(otlp_json.resource(description.resource).encode()),
        span=msgspec.Raw(otlp_json.span(final, description).encode()),
    )


def _place(source: model.Coordinates) -> Place:
    return Place(source.topic, source.partition, source.offset, str(source.heard_at))


def _first(description: Description, names: Iterable[str]) -> str | None:
    """The first of these attributes that the span or its resource has, as text."""
    for name in names:
        for attributes in (description.attributes, description.resource):
            value = attributes.get(name)
            if isinstance(value, str | int | float):
                return str(value)
    return None


def _endpoint(description: Description) -> str | None:
    """What was called, without what differs from call to call: a route, a template, or a URL up to its query."""
    endpoint = _first(description, _ENDPOINT)
    return endpoint and endpoint.partition("?")[0].partition("#")[0]
