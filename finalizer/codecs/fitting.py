"""Making a final small enough for its topic: what is described is left out largest first, and counted.

Whoever reads the final is told (`span_finalizer.truncated`, and OTLP's dropped counts). What says which span this is,
when it was and how it ended is never left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from finalizer.codecs.description import Description
from finalizer.codecs.values import Value

LEAST_LIMIT: Final = 65_536
"""Bytes that every final fits into once all that can be left out is left out."""
_CUT: Final = 128
"""Characters left of a name, once nothing else is there to leave out."""
_CUT_FIELDS: Final = ("name", "span_type", "session_id", "op_id")

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
    while len(data) > max_bytes:
        description = _smaller(description, len(data) - max_bytes)
        data = encode(description)
    return data


def _smaller(description: Description, excess: int) -> Description:
    """The description without its largest parts, `excess` bytes of them; with short names if no part is left."""
    parts = _parts(description)
    if not parts:
        return _cut(description)
    left_out: dict[str, set[str | int]] = {"attributes": set(), "resource": set(), "events": set(), "links": set()}
    saved = 0
    for size, field, name in parts:
        if saved >= excess:
            break
        left_out[field].add(name)
        saved += size
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
        truncated=description.truncated + sum(map(len, left_out.values())),
    )


def _parts(description: Description) -> list[tuple[int, str, str | int]]:
    """(size, field, name or place) of all that can be left out, the largest first, in a total order."""
    parts: list[tuple[int, str, str | int]] = []
    for field, attributes in (("attributes", description.attributes), ("resource", description.resource)):
        parts += [(_bytes(name, value), field, name) for name, value in attributes.items()]
    parts += [(len(_size(event)), "events", place) for place, event in enumerate(description.events)]
    parts += [(len(_size(link)), "links", place) for place, link in enumerate(description.links)]
    return sorted(parts, key=lambda part: (-part[0], part[1], part[2]))


def _bytes(name: str, value: Value) -> int:
    return len(_size(name)) + len(_size(value))


def _cut(description: Description) -> Description:
    """The description with short names and without its trace state, which means nothing in part."""
    short = {field: (getattr(description, field) or "")[:_CUT] for field in _CUT_FIELDS}
    return msgspec.structs.replace(description, trace_state="", **short)
