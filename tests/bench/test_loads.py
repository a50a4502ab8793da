"""What the loads promise about themselves: a wrong load would make right workers look wrong, or the other way round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import takewhile

import pytest

from finalizer.bench.events import Traffic, Want
from finalizer.bench.load import LOADS, PARTITIONS, Load, Shape
from finalizer.codecs import otlp_spans, partial_log
from finalizer.codecs.native import NativeDecoder
from finalizer.core.model import Coordinates, Evidence, Kind
from finalizer.shell.placement import partition_of
from tests.bench.stages import Stage, shares

NOW_MS = 1_747_648_800_000
SMALL = [load.scaled(0.004) for load in LOADS.values()]


def evidence(load: Load, partition: int) -> Iterator[Evidence]:
    """What a worker makes of a load."""
    where = Coordinates("bench", partition, 0, NOW_MS * 1_000_000)
    native = NativeDecoder().decode
    for _, _, value in Traffic(load, NOW_MS).rows(partition):
        if load.shape is Shape.NATIVE:
            yield native(value, where)
            continue
        decode = partial_log.decode if load.shape is Shape.PARTIAL_LOG else otlp_spans.decode
        for one in decode(value, where):
            assert isinstance(one, Evidence), one
            yield one


@pytest.mark.parametrize("load", SMALL, ids=lambda load: load.name)
def test_a_span_ends_once_exactly_where_a_reported_final_is_wanted(load: Load) -> None:
    """Every record can be read, no span begins or ends twice, and who is to be lost says nothing at the end."""
    wanted = Traffic(load, NOW_MS).wanted()
    ends: Counter[bytes] = Counter()
    for partition in range(PARTITIONS):
        ends.update(one.key[:16].hex().encode() for one in evidence(load, partition) if one.kind is Kind.END)
    assert ends == Counter(key for key, want in wanted.items() if want is Want.COMPLETED)


@pytest.mark.parametrize("load", SMALL, ids=lambda load: load.name)
def test_all_evidence_of_a_trace_lies_where_its_key_says(load: Load) -> None:
    """Kafka's own murmur2 places it, as real producers do; and stamps never go back."""
    for partition in range(PARTITIONS):
        last = 0
        for stamp, key, _ in Traffic(load, NOW_MS).rows(partition):
            assert key is None or partition_of(key, PARTITIONS) == partition
            assert (stamp or 0) >= last
            last = stamp or 0


def test_the_mixed_load_is_what_it_says() -> None:
    """One span in fifty is lost within the log's half an hour; none that is lost is due near the log's end."""
    load = LOADS["mixed"].scaled(0.02)
    wanted = Counter(Traffic(load, NOW_MS).wanted().values())
    assert wanted[Want.LOST] > load.spans // 50 * 0.5
    assert load.spans - wanted.total() < load.open_spans + PARTITIONS


def test_a_live_load_never_looks_like_an_outage() -> None:
    """Those who beat without end are more than the dead of the longest time that one is open, and are never closed."""
    load = LOADS["steady"].scaled(0.01)
    traffic = Traffic(load, NOW_MS)
    dead = sum(want is Want.LOST for want in traffic.wanted().values()) * 30 / load.log_seconds
    beating: Counter[bytes | None] = Counter()
    for partition in range(PARTITIONS):
        rows = takewhile(lambda row: (row.stamp or 0) < NOW_MS + 60_000, traffic.healthy(partition))
        beating.update(row.key for row in rows if (row.stamp or 0) >= NOW_MS)
    assert len(beating) > dead
    assert min(beating.values()) == 60_000 // load.interval_ms
    assert not beating.keys() & traffic.wanted().keys()


def test_a_stack_belongs_to_its_innermost_stage() -> None:
    """Compiled, interpreted and foreign frames; waiting is nobody's, and the collector's time is its own."""
    stacks = (
        "Road.hear (finalizer/pipeline.py:1);CPyDef_native___NativeDecoder___decode (rooms.so);json (msgspec.so) 4",
        "Writer.write (finalizer/shell/writer.py:1);append (aiokafka/producer/message_accumulator.py:7) 2",
        "CPyDef_pipeline___Road____decide (rooms.so);gc_collect_main (libpython.so);CPyDef_fold___fold (rooms.so) 1",
        "run (asyncio/base_events.py:1);epoll_wait (libc.so.6) 90",
        "run (asyncio/base_events.py:1) 1",
    )
    found = shares("\n".join(stacks))
    told = {stage: round(share * 8) for stage, share in found.items() if share}
    assert told == {Stage.DECODE: 4, Stage.APPEND: 2, Stage.GC: 1, Stage.OTHER: 1}
