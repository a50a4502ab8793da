"""What dead letters are grouped by: a few attributes of the span or of its resource, by one name each."""

from __future__ import annotations

from typing import Final

from finalizer.codecs.values import Attributes

_SERVICE: Final = ("service.name",)
_VERSION: Final = ("service.version",)
_DEVICE: Final = ("device.model.name", "device.model.identifier")
_NETWORK: Final = ("network.connection.type",)
_ENDPOINT: Final = ("http.route", "url.template", "url.full", "server.address")
_OS: Final = ("os.name", "os.type")

Flat = tuple[str | None, str | None, str | None, str | None, str | None, str | None]
"""Service, version, device model, network, endpoint, os; None where the span does not say."""


def flat(attributes: Attributes, resource: Attributes) -> Flat:
    """What a span of these attributes says."""
    endpoint = _first(attributes, resource, _ENDPOINT)
    if endpoint:  # without what differs from call to call: a route, a template, or a URL up to its query
        endpoint = endpoint.partition("?")[0].partition("#")[0]
    return (
        _first(attributes, resource, _SERVICE),
        _first(attributes, resource, _VERSION),
        _first(attributes, resource, _DEVICE),
        _first(attributes, resource, _NETWORK),
        endpoint,
        _first(attributes, resource, _OS),
    )


def _first(attributes: Attributes, resource: Attributes, names: tuple[str, ...]) -> str | None:
    """The first of these attributes that the span or its resource has, as text."""
    for name in names:
        for value in (attributes.get(name), resource.get(name)):
            if value is None:
                continue
            if isinstance(value, str):
                return value
            if isinstance(value, (int, float)):  # a union would be made anew each time
                return str(value)
    return None
