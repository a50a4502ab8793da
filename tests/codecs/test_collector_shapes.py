"""What a stock collector would show of a final must not depend on how the final was made, or in which encoding."""

from __future__ import annotations

from typing import Any

import pytest

from finalizer.codecs.otlp import encode_json, encode_proto
from finalizer.codecs.verdict import PREFIX
from tests.codecs.reading import read_json, read_proto
from tests.codecs.spans import end, heartbeat, reported, start

AROUND = ["span_finalizer", PREFIX, PREFIX + "cause", PREFIX + "\x00", "span_finalizer/", "span", "t", ""]
"""Names that sort right before, at, within and right after our own."""


@pytest.mark.parametrize("records", [(), (heartbeat(attributes={"b": 1}),)], ids=["one record", "two records"])
@pytest.mark.parametrize("name", AROUND)
def test_a_clients_name_beside_ours_comes_out_alike(name: str, records: tuple[bytes, ...]) -> None:
    """Both encodings pass on the same of a client's names, and none under our prefix, the bare prefix included."""
    theirs: dict[str, Any] = {name: "theirs", "a": 1, "z": None}
    final = reported(start(attributes=theirs), *records, end())
    as_json, as_proto = read_json(encode_json(final)), read_proto(encode_proto(final))
    assert repr(as_json) == repr(as_proto)
    assert ("theirs" in as_json.attributes.values()) == (not name.startswith(PREFIX))
