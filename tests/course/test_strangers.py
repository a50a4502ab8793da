"""What a stranger may put on an input, and what the whole way to a batch makes of it."""

from __future__ import annotations

from aiokafka.record.default_records import DefaultRecordBatch
from google_crc32c import value as crc32c

from finalizer.codecs.errors import Reason, Unusable
from finalizer.core.model import Coordinates
from finalizer.pipeline import Topic, rejected_output
from finalizer.shell.outbox import Destination, Outbox
from finalizer.sim.broker import Record
from tests.core.making import at
from tests.course.running import EVENTS, Running


def test_a_rejected_record_keeps_its_null_headers() -> None:
    """Kafka's headers may be null. A record that is refused with such a one is a rejected record, no bug of ours."""
    running = Running()
    record = Record(EVENTS, 0, 0, at(0) // 1_000_000, b"key", b"garbage", [("trace", None), ("b", b"1")])
    decision = running.course.hear(EVENTS, [record], end=1, stamped=True, now=at(0)).decision
    assert running.undecided == []
    outbox = Outbox(transactional=False)
    outbox.carry(decision.outputs, {Topic.REJECTED: Destination("spans.rejected", 1)})
    ((_, _, batch),) = outbox.batches
    (written,) = DefaultRecordBatch(b"".join(batch.build(crc32c, producer_id=-1, epoch=-1, sequence=-1)))
    assert (written.key, written.value) == (b"key", b"garbage")
    assert written.headers[:2] == [("trace", None), ("b", b"1")]
    bounded = rejected_output(
        record, Coordinates(EVENTS, 0, 0, at(0)), Unusable(Reason.MALFORMED, "no JSON"), max_bytes=10_000
    )
    assert list(bounded.headers)[:2] == [("trace", None), ("b", b"1")]
