"""What policy rules look at in a piece of evidence, read from its body only if they look."""

from __future__ import annotations

from collections.abc import Mapping

from finalizer.codecs.description import Describing, Description
from finalizer.core.model import Subject


def subject_of(body: Describing | None) -> Subject | None:
    """The subject of a body that any decoder has made; None where there is none."""
    return None if body is None else BodySubject(body)


class BodySubject:
    """The subject of a body. Satisfies core's `Subject`; the body is described once, when it is first asked."""

    __slots__ = ("_body", "_described")

    def __init__(self, body: Describing) -> None:
        self._body = body
        self._described: Description | None = None

    @property
    def name(self) -> str | None:
        return self._description().name

    @property
    def span_type(self) -> str | None:
        return self._description().span_type

    @property
    def kind(self) -> str | None:
        return self._description().kind

    @property
    def resource(self) -> Mapping[str, object]:
        return self._description().resource

    @property
    def attributes(self) -> Mapping[str, object]:
        return self._description().attributes

    def _description(self) -> Description:
        if self._described is None:
            self._described = self._body.describe()
        return self._described
