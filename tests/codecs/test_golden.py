"""The outputs as the README shows them. Field order and spelling are a promise: a difference here is a new format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finalizer.codecs.dead_letter import encode
from finalizer.codecs.otlp import encode_json
from tests.codecs.spans import UPLOAD, end, heartbeat, presumed, reported

UPLOADING = json.dumps(UPLOAD).encode()
BEAT = heartbeat(seq=2, progress=0.4, attributes={"upload.bytes": 41_943_040})
LOST = presumed(UPLOADING, BEAT)
OUTPUTS = {
    "final_completed.json": encode_json(reported(UPLOADING, BEAT, end(seq=3, status={"code": "ok"}))),
    "final_heartbeat_lost.json": encode_json(LOST),
    "dead_letter.json": encode(LOST, kind="incomplete"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_look_as_promised(name: str) -> None:
    """Word for word, and field for field in this order."""
    golden = Path(__file__).with_name("golden") / name
    assert json.dumps(json.loads(OUTPUTS[name]), indent=1) + "\n" == golden.read_text("utf-8")
