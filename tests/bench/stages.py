"""Which stage of the work a sampled stack belongs to, by the innermost frame that says so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final


class Stage(Enum):
    """Where the time goes, in the order in which a record passes."""

    POLL = "poll: fetch answers, parsing of batches, Faust's delivery"
    DECODE = "decode: bytes to evidence"
    TERMS = "terms: rules, descriptions"
    FOLD = "fold: the law, the states, what is remembered"
    DEADLINES = "deadlines: when to look, and looking"
    ENCODE = "encode: finals, headers, changelog values"
    APPEND = "batch append: records into batches, partitions of keys"
    PRODUCE = "produce: requests, transactions"
    FREE = "freeing what was decided"
    GC = "garbage collector"
    OTHER = "other: event loop, metrics, what no frame names"


_OURS: Final[Mapping[str, Stage]] = {
    **dict.fromkeys(
        ("native", "native_event", "evidence", "partial_log", "logs", "json_logs", "proto_logs", "wire", "foreign"),
        Stage.DECODE,
    ),
    **dict.fromkeys(
        ("otlp_spans", "json_spans", "proto_spans", "json_span", "proto_span", "json_batch", "proto_batch", "rekeying"),
        Stage.DECODE,
    ),
    **dict.fromkeys(("terms", "rules", "schema", "description", "values"), Stage.TERMS),
    **dict.fromkeys(
        ("fold", "lifecycle", "law", "model", "by_value", "remembered", "spans", "pipeline", "decision", "again"),
        Stage.FOLD,
    ),
    **dict.fromkeys(("due", "deadlines", "watch", "safety", "crowd", "sample", "clock", "sources"), Stage.DEADLINES),
    **dict.fromkeys(
        ("otlp", "otlp_json", "otlp_proto", "otlp_body", "headers", "state", "stored", "changelog", "dead_letter"),
        Stage.ENCODE,
    ),
    **dict.fromkeys(("body", "verdict", "rejected", "subject"), Stage.ENCODE),
    **dict.fromkeys(
        ("writer", "placement", "outbox", "record_batch", "record_headers", "batches", "pending"), Stage.APPEND
    ),
    **dict.fromkeys(("frames", "reading"), Stage.POLL),
}
_FUNCTIONS: Final[Mapping[tuple[str, str], Stage]] = {
    ("pipeline", "_terms"): Stage.TERMS,
    ("pipeline", "named"): Stage.TERMS,
    ("pipeline", "wake"): Stage.DEADLINES,
    ("pipeline", "_emit"): Stage.ENCODE,
    ("pipeline", "_letter"): Stage.ENCODE,
}
_COMPILED: Final = re.compile(r"CPy(?:Def|Py)_(\w+?)___(?:\w+?___)?(_?[a-z]\w*) ")
_SOURCE: Final = re.compile(r"(?:\w+\.)*(?:<\w+>\.)*(\S+) \(finalizer/(?:\w+/)*(\w+)\.py")
_THEIRS: Final = (
    ("Decision_dealloc", Stage.FREE),
    ("aiokafka/producer/message_accumulator.py", Stage.APPEND),
    ("default_records", Stage.POLL),
    ("aiokafka/consumer", Stage.POLL),
    ("faust/transport", Stage.POLL),
    ("faust/streams", Stage.POLL),
    ("aiokafka/producer", Stage.PRODUCE),
    ("aiokafka/conn.py", Stage.PRODUCE),
    ("aiokafka/client.py", Stage.PRODUCE),
    ("aiokafka/protocol", Stage.PRODUCE),
)


_WAITING: Final = ("epoll_wait", "select_epoll_poll_impl", "pthread_cond_timedwait")
"""For the network, or for the other thread to give up the interpreter: no processor time."""


def stage_of_frame(frame: str) -> Stage | None:
    """The stage that a frame says; None where it is everybody's. A frame is as py-spy writes it."""
    compiled = _COMPILED.match(frame)
    if compiled is not None:
        module, function = compiled[1], compiled[2]
        return _FUNCTIONS.get((module, function)) or _OURS.get(module)
    source = _SOURCE.match(frame)
    if source is not None:
        function, module = source[1], source[2]
        return _FUNCTIONS.get((module, function)) or _OURS.get(module)
    return next((stage for part, stage in _THEIRS if part in frame), None)


def stage_of(stack: Iterable[str]) -> Stage:
    """The stage of a stack, outermost frame first. The collector runs on top of whoever allocates."""
    frames = list(stack)
    if any("gc_collect_main" in frame for frame in frames):
        return Stage.GC
    stages = (stage_of_frame(frame) for frame in reversed(frames))
    return next((stage for stage in stages if stage is not None), Stage.OTHER)


def shares(raw: str) -> dict[Stage, float]:
    """The share of each stage in stacks as py-spy's `raw` format has them: frames with `;` between, and a count."""
    counted: Counter[Stage] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if any(word in stack for word in _WAITING):
            continue
        counted[stage_of(stack.split(";"))] += int(count)
    whole = max(1, counted.total())
    return {stage: counted[stage] / whole for stage in Stage}
