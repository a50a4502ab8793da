"""Every metric of the worker, with its meaning and what to do: one closed list (RATIONALE: what users touch).

The worker counts nothing that is not here, the README's table is generated from here, and the sets of label values
are here too, so that no value can invent a time series. `may_close` is there because `closing_paused` says
why closing waits but not where, `remembered_bytes` and `open_bytes` because they are seen to near their bounds before
something follows from it, `source_clock_lag_seconds` because one source that nobody re-keys holds back all partitions,
`instances` and `instances_clock_lag_seconds` because a view that is full or far behind closes late.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, StrEnum
from typing import Final, NamedTuple

from finalizer.codecs.errors import Reason
from finalizer.core.causes import FACTS, Cause
from finalizer.core.effects import LetterKind
from finalizer.core.model import Kind

PREFIX: Final = "span_finalizer_"
OTHER: Final = "other"
"""Label value for an input or a rule that is not configured (any more)."""


class Type(Enum):
    """Prometheus types."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class PauseReason(StrEnum):
    """Why a partition closes nothing by inference: the closed list behind `closing_paused{reason}`."""

    REBALANCING = "rebalancing"
    """The group is agreeing on who has it."""
    RESTORING = "restoring"
    """Its state is being read back."""
    SETTLING = "settling"
    """Newly assigned, less than `settle` ago."""
    BEHIND = "behind"
    """Records wait unread or undecided."""
    BLIND = "blind"
    """The broker does not answer, or has not for long enough again."""
    OUTAGE = "outage"
    """So few beats came that the road from the clients is suspected, not the clients."""
    BREAKER = "breaker"
    """Too many closes at once: the mass-close breaker waits for a person."""
    INPUT_PAUSED = "input_paused"
    """Too many of an input's records are unusable; its clock stands still."""
    UNMARKED = "unmarked"
    """Re-keyed evidence: a source partition has not vouched for its clock."""
    INSTANCES = "instances"
    """The view of the instances has not caught up."""


class Label(NamedTuple):
    """A label. `values` is its closed set; None: the configured names (`input`, `rule`) or a number (`partition`)."""

    name: str
    values: tuple[str, ...] | None = None


class Metric(NamedTuple):
    """One metric; `name` is without the prefix."""

    name: str
    type: Type
    labels: tuple[Label, ...]
    unit: str
    meaning: str
    what_to_do: str
    buckets: tuple[float, ...] = ()
    """Upper bounds, of a histogram only; +Inf is understood."""


class Row(NamedTuple):
    """One line of the README's table."""

    metric: str
    """Full name with its labels: `span_finalizer_finals_total{cause,rule}`."""
    type: str
    unit: str
    meaning: str
    what_to_do: str


def _values(members: Iterable[Enum]) -> tuple[str, ...]:
    return tuple(str(member.value) for member in members)


INPUT: Final = Label("input")
RULE: Final = Label("rule")
PARTITION: Final = Label("partition")
KIND: Final = Label("kind", (*(kind.name.lower() for kind in Kind if kind is not Kind.DUE), "instance"))
CAUSE: Final = Label("cause", _values(Cause))
LETTER: Final = Label("cause", (*_values(Cause), LetterKind.MISSING_START.value))
INFERRED: Final = Label(
    "cause", (*_values(cause for cause, facts in FACTS.items() if not facts.reported), LetterKind.MISSING_START.value)
)
REASON: Final = Label("reason", _values(Reason))
PAUSED: Final = Label("reason", _values(PauseReason))

_DELAYS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_COMMITS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_RECORDS = (1.0, 10.0, 100.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 25_000.0, 50_000.0)
_RESTORES = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

_COUNTER, _GAUGE, _HISTOGRAM = Type.COUNTER, Type.GAUGE, Type.HISTOGRAM

CATALOGUE: Final[tuple[Metric, ...]] = (
    Metric(
        "evidence_total", _COUNTER, (INPUT, KIND), "records",
        "Evidence decoded, by input topic and by what it says.",
        "Zero: nothing arrives; look at the producers, then at `rejected_total` and `input_paused`. Ends stop while"
        " starts go on: clients cannot send their ends, and a wave of presumed finals follows.",
    ),
    Metric(
        "finals_total", _COUNTER, (CAUSE, RULE), "spans",
        "Finals written, by cause and by the rule whose terms applied.",
        "A jump of `heartbeat_lost` or `timeout` under one rule: clients of that kind die, or its terms are too tight"
        " (compare `verdicts_overturned_total`). Zero while evidence flows: look at `group_commit_seconds`.",
    ),
    Metric(
        "would_close_total", _COUNTER, (INFERRED, RULE), "spans",
        "Only in a dry run: spans that a worker would have closed by inference, each once.",
        "Compare with `finals_total` of the real worker: what the new terms would close more or less. 0 in a worker.",
    ),
    Metric(
        "verdicts_overturned_total", _COUNTER, (RULE,), "spans",
        "Presumed finals that a late end replaced: our own false positives.",
        "Above one in a hundred of the rule's presumed finals: its `heartbeat.misses`, `allowance` or `max_duration`"
        " are too tight, or its devices were cut off. Zero is right.",
    ),
    Metric(
        "dead_letters_total", _COUNTER, (LETTER,), "records",
        "Records written to the dead-letter topic; `missing_start`: the start of a span never came.",
        "`missing_start` rises: starts are lost or go to another topic or partition; look at `misrouted_total`."
        " Other causes follow `finals_total`; read the topic with `finalizer tail dlq`.",
    ),
    Metric(
        "rejected_total", _COUNTER, (INPUT, REASON), "records",
        "Input records that could not be used; they are on the rejected topic, byte for byte.",
        "`malformed`, `wrong_type`, `bad_time`: a producer broke, or the input's `format` is set wrong; read them with"
        " `finalizer tail rejected`. `beyond_memory`: clients send older spools than `remember` covers."
        " `internal_error` is a bug of ours: its trace is in the log.",
    ),
    Metric(
        "open_spans", _GAUGE, (), "spans",
        "Spans that are open on this worker's partitions.",
        "Rises without end: ends are missing or closing is paused (`closing_paused`); each takes 0.5 kB and its start."
        " Falls to zero at once: a mass close (`finals_total`) or partitions moved to another worker.",
    ),
    Metric(
        "open_bytes", _GAUGE, (), "bytes",
        "What the open spans take, by our own count.",
        "Near `limits.bytes`: the spans silent for longest are about to be closed as `evicted` (`finals_total`). Find"
        " who opens so many (`evidence_total`) or what ends none; raise `limits` if there is memory, or add workers.",
    ),
    Metric(
        "oldest_open_seconds", _GAUGE, (), "seconds",
        "Age of the span that has been open longest, from the first that was heard of it; 0 with none open.",
        "Above the largest `max_duration`: closing does not happen; look at `closing_paused` and `due_backlog`.",
    ),
    Metric(
        "due_backlog", _GAUGE, (), "spans",
        "Spans that are due to be looked at and have not been.",
        "High with `closing_paused`: they wait for its reason to go. High without: this worker cannot keep up; look at"
        " CPU and `group_commit_seconds`, add workers or partitions. Near zero is right.",
    ),
    Metric(
        "late_evidence_total", _COUNTER, (KIND,), "records",
        "Evidence for spans that had been presumed closed.",
        "`heartbeat` rises: those spans lived, so the terms are too tight or devices were cut off; find the rule with"
        " `verdicts_overturned_total`.",
    ),
    Metric(
        "closing_delay_seconds", _HISTOGRAM, (), "seconds",
        "From a span's deadline until its final is on the topic.",
        "p99 above 1 s: closing was paused (`closing_paused`), or commits are slow (`group_commit_seconds`).",
        _DELAYS,
    ),
    Metric(
        "partition_clock_lag_seconds", _GAUGE, (PARTITION,), "seconds",
        "How far the partition's clock is behind the broker's wall clock.",
        "Rises at one second a second: this partition gets no fetch answers, or one of its input topics stands still;"
        " `closing_paused` says why. Falls: it is catching up after an outage, and closes nothing until it has.",
    ),
    Metric(
        "source_clock_lag_seconds", _GAUGE, (INPUT, PARTITION), "seconds",
        "How far a partition of a re-keyed input is behind, as the partitions of this worker know it from its marks.",
        "One far above the others holds back closing everywhere. With `input_paused`: its records are unusable. Else no"
        " worker re-keys it (is one gone, frozen, or left out by a rolling deploy?) or it has more than is re-keyed.",
    ),
    Metric(
        "caught_up", _GAUGE, (PARTITION,), "1 or 0",
        "1: nothing was unread or undecided on any input of this partition at the latest fetch answers.",
        "0 for minutes: more arrives than is decided, or the broker does not answer. The count of these series is the"
        " number of partitions here; summed over the workers it must be the topic's.",
    ),
    Metric(
        "may_close", _GAUGE, (PARTITION,), "1 or 0",
        "1: deadlines are acted on. 0: the partition only listens, on purpose.",
        "0 for longer than `settle`: see `closing_paused` for the reason, and `/readyz` for it by partition.",
    ),
    Metric(
        "closing_paused", _GAUGE, (PAUSED,), "partitions",
        "Partitions that close nothing by inference, by reason; a partition may have several.",
        "`behind`, `restoring`, `settling`, `rebalancing` pass by themselves. `blind`: look at the broker. `outage`: at"
        " the road from the clients. `breaker`: at what would be closed, then `finalizer release breaker`."
        " `input_paused`: at `rejected_total`. `unmarked`: no worker re-keys one of the sources"
        " (`source_clock_lag_seconds` says which)."
        " `instances`: at the topic of instances: spans that name one wait for it.",
    ),
    Metric(
        "instances", _GAUGE, (), "processes",
        "Starts of processes of which a heartbeat is known; no sample: `instances` names no topic.",
        "Near 100,000: those not heard for longest are forgotten, and spans that name them are closed later than they"
        " might be; let fewer processes have an `instance_id`, or let them keep it through restarts.",
    ),
    Metric(
        "instances_clock_lag_seconds", _GAUGE, (), "seconds",
        "How far the topic of instances is heard behind the wall; no spans that name one are closed beyond that.",
        "Rises: its broker does not answer, or it may not be read; the log says which. Two seconds at most are right.",
    ),
    Metric(
        "input_paused", _GAUGE, (INPUT,), "partitions",
        "Partitions of this input that are held: too many of their records are unusable (`rejected.max_ratio`).",
        "Above zero: read the records with `finalizer tail rejected`; mend the producer, or the input's `format`."
        " Nothing is lost while retention lasts.",
    ),
    Metric(
        "misrouted_total", _COUNTER, (INPUT,), "records",
        "Records, of those checked, that lie in another partition than their key says.",
        "Above zero: the producer places keys in another way than Kafka's murmur2, and a span's evidence does not"
        " meet: set `rekey: always` on the input, or mend the producer's partitioner.",
    ),
    Metric(
        "unknown_fields_total", _COUNTER, (INPUT,), "records",
        "Records, of those checked (one in 1,000, and the first of each partition), with a field that no event has.",
        "Above zero: the log names the fields (`unknown_field`). A misspelt one is ignored: mend the producer. One that"
        " is meant belongs into `attributes`.",
    ),
    Metric(
        "input_gap_records_total", _COUNTER, (INPUT,), "records",
        "Records that retention deleted before this worker read them.",
        "Above zero: evidence is lost for good; finals it may have touched carry `span_finalizer.evidence_gap`. Raise"
        " the topic's retention above the longest time the worker may be down.",
    ),
    Metric(
        "remembered_spans", _GAUGE, (), "spans",
        "Closed spans that are still recognised, so that what comes late opens nothing.",
        "Falls while the load does not: `remember.max_bytes` is reached; look at `memory_horizon_seconds`.",
    ),
    Metric(
        "remembered_bytes", _GAUGE, (), "bytes",
        "What the remembered spans take, by our own count.",
        "Near `remember.max_bytes`: the oldest are about to be forgotten early. Raise it if there is memory, or"
        " shorten `remember.finished` and `remember.presumed` to what the clients' spools need.",
    ),
    Metric(
        "memory_horizon_seconds", _GAUGE, (), "seconds",
        "How far back closed spans are recognised, where it is shortest; no sample: nothing was forgotten.",
        "Below the time that clients keep their spools: late ends become rejected (`beyond_memory`) or finals with"
        " `history=unknown`. Raise `remember.max_bytes`, or add workers.",
    ),
    Metric(
        "broker_clock_offset_seconds", _GAUGE, (), "seconds",
        "How far the broker's clock is ahead of this worker's.",
        "Beyond a second: somebody's NTP is broken. No span is closed wrongly by it, but logs do not line up.",
    ),
    Metric(
        "restore_seconds", _HISTOGRAM, (), "seconds",
        "Time to read a partition's state back; the count is the number of restores.",
        "The count keeps rising: the group rebalances again and again (too short a session, workers that restart)."
        " Slow: the changelog is not compacted (`restored_records_total`), or the broker is slow.",
        _RESTORES,
    ),
    Metric(
        "restored_records_total", _COUNTER, (), "records",
        "Changelog records read back in restores.",
        "Far more than open and remembered spans together: the changelog is not compacted; look at its settings.",
    ),
    Metric(
        "group_commit_seconds", _HISTOGRAM, (), "seconds",
        "Time to make one group durable: outputs, changelog, transaction.",
        "p99 above 1 s: the broker is slow or its in-sync replicas are; everything else here waits for this. A count"
        " that stands still while `evidence_total` rises: the writer hangs; `/livez` says so too.",
        _COMMITS,
    ),
    Metric(
        "group_records", _HISTOGRAM, (), "records",
        "Input records in one group.",
        "Large groups are full load, and efficient. Small ones with a `partition_clock_lag_seconds` that rises: the"
        " time goes into commits, not into deciding.",
        _RECORDS,
    ),
    Metric(
        "build_info", _GAUGE,
        (Label("version"), Label("running"), Label("python"), Label("faust"), Label("aiokafka")), "1",
        "Always 1; the labels say which versions run, and whether the inner rooms are compiled.",
        "Two versions for longer than a rolling deploy takes: it is stuck half-way. `running` is not `compiled`: the"
        " worker does the same at about half the speed; install it where there is a C compiler.",
    ),
    Metric(
        "config_info", _GAUGE, (Label("app_id"), Label("delivery"), Label("policy")), "1",
        "Always 1; the labels say which application, delivery and policy run (`policy` is its fingerprint).",
        "Workers of one `app_id` differ: a configuration was rolled out in part. `delivery` is not what you expect: the"
        " broker has no transactions.",
    ),
)  # fmt: skip

METRICS: Final[dict[str, Metric]] = {metric.name: metric for metric in CATALOGUE}


def table() -> list[Row]:
    """The catalogue as rows of the README's table."""
    return [
        Row(
            PREFIX
            + metric.name
            + ("{" + ",".join(label.name for label in metric.labels) + "}" if metric.labels else ""),
            metric.type.value,
            metric.unit,
            metric.meaning,
            metric.what_to_do,
        )
        for metric in CATALOGUE
    ]
