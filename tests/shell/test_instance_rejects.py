"""What of the topic of instances is rejected. Who writes it, and that it is once: `contracts.instances`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from finalizer.codecs.errors import Reason
from finalizer.shell.instance_rejects import unusable

BEAT = (
    b'{"type":"instance","instance_id":"pod-1","boot_id":"a","time_unix_nano":"1747648800000000000",'
    b'"heartbeat_interval_ms":30000}'
)


def record(key: bytes | None, value: bytes | None) -> SimpleNamespace:
    """As the consumer hands it out."""
    return SimpleNamespace(key=key, value=value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"pod-1", b"garbage", Reason.MALFORMED),
        (b"pod-1", BEAT.replace(b'"boot_id":"a",', b""), Reason.MISSING_FIELD),
        (b"pod-1", BEAT.replace(b"instance", b"start", 1), Reason.UNKNOWN_KIND),
        (None, None, Reason.EMPTY),
    ],
)
def test_what_is_no_heartbeat_of_a_process_is_bad(key: bytes | None, value: bytes | None, reason: Reason) -> None:
    """Each by itself: what stands around it is used."""
    records = [record(b"pod-1", BEAT), record(key, value), record(b"pod-1", BEAT)]
    ((found, error),) = unusable(records)
    assert found is records[1]
    assert error.reason is reason


def test_heartbeats_and_what_takes_them_back_are_not() -> None:
    """A key without a value says that a process is over, as on any compacted topic."""
    assert not list(unusable([record(b"pod-1", BEAT), record(b"pod-1", None), record(None, BEAT)]))
