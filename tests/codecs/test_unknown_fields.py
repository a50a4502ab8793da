"""Fields that the native format does not know."""

from __future__ import annotations

import json

from finalizer.codecs.unknown_fields import KNOWN_FIELDS, told, unknown_fields
from tests.codecs.spans import UPLOAD, decode


def test_no_field_of_the_format_is_unknown() -> None:
    """A record of all that the README's table names has none; names inside of attributes are the client's own."""
    assert unknown_fields(json.dumps(UPLOAD | {"attributes": {"mine": 1}}).encode()) == []
    assert {"kind", "heartbeat_interval_ms", "links"} <= KNOWN_FIELDS


def test_a_misspelt_field_is_told_with_the_one_that_was_meant() -> None:
    """In one printable line, however long the name."""
    names = unknown_fields(json.dumps(UPLOAD | {"heartbeatIntervalMs": 5, "x\n" * 99: 1}).encode())
    assert [told(name).rpartition(". ")[2] for name in names[:1]] == ["Did you mean heartbeat_interval_ms?"]
    assert names[1].isprintable()
    assert len(names[1]) < 100


def test_what_was_accepted_is_never_refused_for_it() -> None:
    """A decoder skips an unknown field unread, so its name may be no UTF-8: there is nothing to tell, and no error."""
    value = json.dumps(UPLOAD).encode().replace(b"{", b'{"\xff": 1, ', 1)
    assert decode(value).key
    assert unknown_fields(value) == []
