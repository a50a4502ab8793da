"""Making a final small enough for its topic: what is described is left out largest first, and counted.

Whoever reads the final is told (`span_finalizer.truncated`, and OTLP's dropped counts). What says which span this is,
when it was and how it ended is never left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from finalizer.codecs.description import Description

LEAST_LIMIT: Final = 65_536
"""Bytes that every final fits into once all that can be left out is left out."""
_CUT: Final = 128
"""Characters left of a name, once nothing else is there to leave out."""
_CUT_FIELDS: Final = ("name", "span_type", "session_id", "op_id")


class _Part(NamedTuple):
    """One thing that can be left out: an attribute by its name, an event or a link by its place."""

    size: int
    field: str
    name: str | int


_size = msgspec.json.Encoder().encode


def fitted(description: Description, encode: Callable[[Description], bytes], max_bytes: int | None) -> bytes:
    """What `encode` makes of the description, or of as much of it as fits into `max_bytes`.

    Raises `ValueError` for a limit below `LEAST_LIMIT`: not every final would fit.
    """
    data = encode(description)
    if max_bytes is None or len(data) <= max_bytes:
        return data
    if max_bytes < LEAST_LIMIT:
        raise ValueError(f"a limit of {max_bytes} bytes is too small for finals; {LEAST_LIMIT} is the least")
    parts = _parts(description)

    def fits(count: int) -> bool:
        return len(encode(_without(description, parts[:count]))) <= max_bytes

    count = bisect_left(range(len(parts)), True, key=fits)  # the first that fits
    smaller = _without(description, parts[:count])
    data = encode(smaller)
    return data if len(data) <= max_bytes else encode(_cut(smaller))


def _without(description: Description, parts: Sequence[_Part]) -> Description:
    """The description without these parts."""
    left_out: dict[str, set[str | int]] = {"attributes": set(), "resource": set(), "events": set(), "links": set()}
    for part in parts:
        left_out[part.field].add(part.name)
    attributes, events, links = left_out["attributes"], left_out["events"], left_out["links"]
    return msgspec.structs.replace(
        description,
        attributes={name: value for name, value in description.attributes.items() if name not in attributes},
        resource={name: value for name, value in description.resource.items() if name not in left_out["resource"]},
        events=[event for place, event in enumerate(description.events) if place not in events],
        links=[link for place, link in enumerate(description.links) if place not in links],
        dropped_attributes=description.dropped_attributes + len(attributes),
        dropped_events=description.dropped_events + len(events),
        dropped_links=description.dropped_links + len(links),
        truncated=len(parts),
    )


def _parts(description: Description) -> list[_Part]:
    """All that can be left out, the largest first, in a total order."""
    parts = [_Part(_bytes(*item), "attributes", item[0]) for item in description.attributes.items()]
    parts += [_Part(_bytes(*item), "resource", item[0]) for item in description.resource.items()]
    parts += [_Part(_bytes(event), "events", place) for place, event in enumerate(description.events)]
    parts += [_Part(_bytes(link), "links", place) for place, link in enumerate(description.links)]
    return sorted(parts, key=lambda part: (-part.size, part.field, part.name))


def _bytes(*content: object) -> int:
    return len(_size(content))


def _cut(description: Description) -> Description:
    """The description with short names and without its trace state, which means nothing in part."""
    short = {field: (getattr(description, field) or "")[:_CUT] for field in _CUT_FIELDS}
    return msgspec.structs.replace(description, trace_state="", **short)
