"""Making a final small enough for its topic: what is described is left out largest first, and counted.

Whoever reads the final is told (`span_finalizer.truncated`, and OTLP's dropped counts). What says which span this is,
when it was and how it ended is never left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Final, NamedTuple

import msgspec

from finalizer.codecs.around import Around, EntityRef
from finalizer.codecs.description import Description

LEAST_LIMIT: Final = 65_536
"""Bytes that every final fits into once all that can be left out is left out."""
_FIELDS: Final = ("attributes", "resource", "events", "links", "scope", "entities")
_CUT: Final = 128
"""Characters left of a name, once nothing else is there to leave out."""
_CUT_FIELDS: Final = ("name", "span_type", "session_id", "op_id")
_MOST_DROPPED: Final = 2**32 - 1
"""OTLP counts what was dropped in 32 bits."""


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
    left_out: dict[str, set[str | int]] = {field: set() for field in _FIELDS}
    for part in parts:
        left_out[part.field].add(part.name)
    attributes, events, links = left_out["attributes"], left_out["events"], left_out["links"]
    around = description.around
    if around is not None and (left_out["entities"] or left_out["resource"]):
        around = msgspec.structs.replace(around, entities=_whole(around.entities, left_out))
    if around is not None and left_out["scope"]:
        kept = {name: value for name, value in around.scope_attributes.items() if name not in left_out["scope"]}
        dropped = _counted(around.scope_dropped_attributes, left_out["scope"])
        around = msgspec.structs.replace(around, scope_attributes=kept, scope_dropped_attributes=dropped)
    return msgspec.structs.replace(
        description,
        attributes={name: value for name, value in description.attributes.items() if name not in attributes},
        resource={name: value for name, value in description.resource.items() if name not in left_out["resource"]},
        events=[event for place, event in enumerate(description.events) if place not in events],
        links=[link for place, link in enumerate(description.links) if place not in links],
        dropped_attributes=_counted(description.dropped_attributes, attributes),
        dropped_events=_counted(description.dropped_events, events),
        dropped_links=_counted(description.dropped_links, links),
        truncated=len(parts),
        around=around,
    )


def _whole(entities: Sequence[EntityRef], left_out: Mapping[str, set[str | int]]) -> list[EntityRef]:
    """The entities that are not left out, and whose attributes are all still there."""
    places, names = left_out["entities"], left_out["resource"]
    return [
        ref
        for place, ref in enumerate(entities)
        if place not in places and names.isdisjoint((*ref.id_keys, *ref.description_keys))
    ]


def _parts(description: Description) -> list[_Part]:
    """All that can be left out, the largest first, in a total order."""
    parts = [_Part(_bytes(*item), "attributes", item[0]) for item in description.attributes.items()]
    parts += [_Part(_bytes(*item), "resource", item[0]) for item in description.resource.items()]
    parts += [_Part(_bytes(event), "events", place) for place, event in enumerate(description.events)]
    parts += [_Part(_bytes(link), "links", place) for place, link in enumerate(description.links)]
    if description.around is not None:
        parts += [_Part(_bytes(*item), "scope", item[0]) for item in description.around.scope_attributes.items()]
        parts += [_Part(_bytes(ref), "entities", place) for place, ref in enumerate(description.around.entities)]
    return sorted(parts, key=lambda part: (-part.size, part.field, part.name))


def _bytes(*content: object) -> int:
    return len(_size(content))


def _counted(before: int, left_out: Sized) -> int:
    return min(before + len(left_out), _MOST_DROPPED)


def _cut(description: Description) -> Description:
    """The description with short names and without its trace state and long URLs, which mean nothing in part."""
    short = {field: (getattr(description, field) or "")[:_CUT] for field in _CUT_FIELDS}
    around = description.around
    return msgspec.structs.replace(description, trace_state="", around=around and _cut_around(around), **short)


def _cut_around(around: Around) -> Around:
    urls = {name: getattr(around, name) for name in ("scope_schema_url", "resource_schema_url")}
    return msgspec.structs.replace(
        around,
        scope_name=around.scope_name[:_CUT],
        scope_version=around.scope_version[:_CUT],
        **{name: url if len(url) <= _CUT else "" for name, url in urls.items()},
    )
