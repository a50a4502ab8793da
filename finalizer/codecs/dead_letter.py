"""Dead letters: an incomplete span as one flat JSON object, made to be grouped, searched and replayed.

The schema is `finalizer/schemas/dead_letter.schema.json`. 64-bit integers are strings, as in OTLP/JSON.
"""

from __future__ import annotations

import msgspec

from finalizer.codecs import otlp_json
from finalizer.codecs.description import Description, describe
from finalizer.codecs.fitting import fitted
from finalizer.codecs.flat import flat, said
from finalizer.codecs.headers import final_id
from finalizer.codecs.short import short_letter
from finalizer.codecs.verdict import cause_word, facts_of
from finalizer.core import model


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
    data = short_letter(final, kind=kind)
    if data is not None and (max_bytes is None or len(data) <= max_bytes):
        return data
    return fitted(
        describe(final.layers), lambda description: _encode(_letter(final, description, kind=kind)), max_bytes
    )


def _letter(final: model.Final, description: Description, *, kind: str) -> Letter:
    closed, facts, ids = final.closed, facts_of(final.closed.cause), final.key.hex()
    service, version, device, network, endpoint, system = flat(description.attributes, said(description.resource))
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
        service=service,
        version=version,
        span_type=description.span_type,
        span_name=description.name,
        device_model=device,
        network=network,
        endpoint=endpoint,
        os=system,
        resource=msgspec.Raw(otlp_json.resource(description.resource).encode()),
        span=msgspec.Raw(otlp_json.span(final, description).encode()),
    )


def _place(source: model.Coordinates) -> Place:
    return Place(source.topic, source.partition, source.offset, str(source.heard_at))
