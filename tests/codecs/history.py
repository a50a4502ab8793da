"""One history that leaves every kind of record in a changelog, and the changelogs that releases have made of it.

`python -m tests.codecs.history` writes what this release makes of it, as the file of its format version. Once a release
has gone out, its file stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from finalizer.codecs.state import VERSION
from finalizer.core.terms import SECOND
from finalizer.policy.load import load
from tests.scenarios.broker import Change, Input
from tests.scenarios.world import EPOCH, World
from tests.traffic import event

CHANGELOGS = Path(__file__).with_name("changelogs")
BLANK = "0" * 12
INPUT = "spans.events"
ERROR = {"code": "error", "message": "m"}
TERMS = """
terms: {silence: 10m, orphan_grace: 4s, max_duration: 1h, heartbeat: {interval: 1m}}
rules: [{name: uploads, match: {span_type: upload}, terms: {progress_timeout: 30m}}]
"""
END_AT = EPOCH + 100 * SECOND
OPEN, WHOLE, TOLD, FINISHED, ENDED, PARTIAL, PRESUMED, LATE, LOST, UNSENT = SPANS = range(10)


def begun() -> World:
    """The history until its worker dies, in the middle of sending a verdict."""
    world = World(load(TERMS), [Input(INPUT, append_time=True)], transactional=True)
    whole = {"attributes": {"a": 1, "b": ["x", 2.5]}, "resource": {"service.name": "app"}, "span_type": "upload"}
    tell(world, 0, event("start", OPEN, EPOCH, **whole, seq=1, links=[{"trace_id": "a" * 32, "span_id": "b" * 16}]))
    tell(world, 0, event("heartbeat", WHOLE, EPOCH, start_time_unix_nano=str(EPOCH - SECOND), name="whole"))
    tell(
        world, 0, event("start", TOLD, EPOCH, heartbeat_interval_ms=60_000, status=ERROR, instance_id="i", boot_id="b")
    )
    tell(world, 0, event("start", FINISHED, EPOCH), event("end", FINISHED, END_AT))
    tell(world, 0, event("start", PARTIAL, EPOCH), event("end", PARTIAL, END_AT - SECOND, reason="partial"))
    tell(world, 0, event("start", PRESUMED, EPOCH, timeout_ms=2000), event("start", LATE, EPOCH, timeout_ms=2000))
    tell(world, 0, event("heartbeat", LOST, EPOCH, seq=7), event("start", ENDED, EPOCH, heartbeat_interval_ms=9000))
    tell(world, 3, event("heartbeat", OPEN, EPOCH + SECOND, seq=2), event("heartbeat", LATE, EPOCH + SECOND))
    tell(world, 3, event("heartbeat", TOLD, EPOCH + SECOND, progress=0.5, session_expires_unix_nano=str(2 * EPOCH)))
    tell(world, 4, event("end", ENDED, END_AT))
    tell(world, 4, event("lifecycle", TOLD, EPOCH + 2 * SECOND, state="background"))
    tell(world, 6, event("start", UNSENT, EPOCH, timeout_ms=1000))
    assert world.worker is not None
    world.worker.producer.dies_before = "outputs"
    world.run_until(EPOCH + 9 * SECOND)
    world.crash()
    return world


def tell(world: World, second: int, *events: dict[str, Any]) -> None:
    """Let the clients say this so many seconds after the beginning."""
    at = EPOCH + second * SECOND
    world.run_until(at)
    for one in events:
        world.broker.inputs[INPUT].append(one["trace_id"].encode(), json.dumps(one).encode(), now=at, stamp=at)


def lines(changes: Iterable[Change]) -> str:
    """A changelog as a file holds it: a record a line, key and value in hexadecimal. The policy's fingerprint is left
    out, since a new setting changes it."""
    fingerprint, blank = load(TERMS).fingerprint.encode(), BLANK.encode()
    changes = [(key, value and value.replace(fingerprint, blank)) for key, value in changes]
    return "".join(json.dumps([key.hex(), None if value is None else value.hex()]) + "\n" for key, value in changes)


def changelog(name: str) -> list[Change]:
    """What was made of the history under this name: a format version, and what was written otherwise then."""
    records = map(json.loads, (CHANGELOGS / f"{name}.jsonl").read_text().splitlines())
    return [(bytes.fromhex(key), None if value is None else bytes.fromhex(value)) for key, value in records]


if __name__ == "__main__":
    (CHANGELOGS / f"v{VERSION}.jsonl").write_text(lines(begun().broker.changelog))
