"""The resource of a partial-span log, whose attributes stand in where the span's own resource lacks them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from finalizer.codecs.carried import LogResource
from finalizer.codecs.json_shapes import read_resource
from finalizer.codecs.json_span import attributes
from finalizer.codecs.values import Attributes

PARTIAL: Final = "partial."
"""Attributes under this name are the processor's own, not the span's."""
_MAX_KEPT: Final = 4096


def added_attributes(resource: LogResource) -> Attributes:
    """What the resource says, without `partial.*`. Raises `ValueError`, `RecursionError` where it cannot be read."""
    if not resource.data:
        return {}
    return _kept(resource) if len(resource.data) <= _MAX_KEPT else _read(resource)


def _read(resource: LogResource) -> Attributes:
    if resource.is_json:
        read = read_resource(resource.data)
        found = attributes(read.attributes) if read else {}
    else:
        from finalizer.codecs.proto_span import resource_attributes  # noqa: PLC0415  # an optional dependency

        found = resource_attributes(resource.data)
    return {name: value for name, value in found.items() if not name.startswith(PARTIAL)}


_kept = lru_cache(maxsize=1024)(_read)
