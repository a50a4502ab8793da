"""What dead letters are grouped by: a few attributes of the span or of its resource, by one name each."""

from __future__ import annotations

from typing import Final

from finalizer.codecs.values import Attributes

_FIELDS: Final = (
    ("service.name",),
    ("service.version",),
    ("device.model.name", "device.model.identifier"),
    ("network.connection.type",),
    ("http.route", "url.template", "url.full", "server.address"),
    ("os.name", "os.type"),
)
"""Of each field the names that it goes by, the first before the others, of the span before its resource."""
_PLACES: Final = {name: (field, rank) for field, names in enumerate(_FIELDS) for rank, name in enumerate(names)}
_LAST: Final = max(map(len, _FIELDS))

Flat = tuple[str | None, str | None, str | None, str | None, str | None, str | None]
"""Service, version, device model, network, endpoint, os; None where the span does not say."""
Said = tuple[list[str | None], list[int]]
"""By field: what is said, and the rank of the name that says it."""


def flat(attributes: Attributes, resource: Said) -> Flat:
    """What a span of these attributes says, where its resource says this."""
    texts, _ = _said_over(attributes, resource)
    service, version, device, network, endpoint, system = texts
    if endpoint:  # without what differs from call to call: a route, a template, or a URL up to its query
        endpoint = endpoint.partition("?")[0].partition("#")[0]
    return service, version, device, network, endpoint, system


def said(resource: Attributes) -> Said:
    """What a resource of these attributes says, for the `flat` of all its spans."""
    return _said_over(resource, ([None] * len(_FIELDS), [_LAST] * len(_FIELDS)))


def _said_over(attributes: Attributes, below: Said) -> Said:
    texts, ranks = below[0].copy(), below[1].copy()
    for name, value in attributes.items():
        place = _PLACES.get(name)
        if place is None:
            continue
        field, rank = place
        if rank > ranks[field]:
            continue
        if isinstance(value, str):
            texts[field], ranks[field] = value, rank
        elif isinstance(value, (int, float)):  # a union would be made anew each time
            texts[field], ranks[field] = str(value), rank
    return texts, ranks
