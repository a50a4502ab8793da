"""Metrics: the catalogue keeps its contract, counts are bounded, and gauges say what the partitions are."""

from collections import Counter
from collections.abc import Iterable

import pytest
from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from finalizer.codecs.errors import Reason
from finalizer.core.causes import Cause
from finalizer.core.effects import LetterKind
from finalizer.core.model import Kind
from finalizer.shell.metrics import About, InstancesView, Metrics, PartitionView, SourceView
from finalizer.shell.metrics_catalogue import CATALOGUE, PREFIX, PauseReason, Type, table

CONTRACT = {
    "evidence_total{input,kind}",
    "finals_total{cause,rule}",
    "verdicts_overturned_total{rule}",
    "dead_letters_total{cause}",
    "rejected_total{input,reason}",
    "open_spans",
    "oldest_open_seconds",
    "due_backlog",
    "late_evidence_total{kind}",
    "closing_delay_seconds",
    "partition_clock_lag_seconds{partition}",
    "caught_up{partition}",
    "closing_paused{reason}",
    "input_paused{input}",
    "misrouted_total{input}",
    "unknown_fields_total{input}",
    "input_gap_records_total{input}",
    "remembered_spans",
    "memory_horizon_seconds",
    "broker_clock_offset_seconds",
    "restore_seconds",
    "restored_records_total",
    "group_commit_seconds",
    "group_records",
    "build_info{version,running,python,faust,aiokafka}",
    "config_info{app_id,delivery,policy}",
}
ADDED = {
    "may_close{partition}",
    "remembered_bytes",
    "open_bytes",
    "would_close_total{cause,rule}",
    "source_clock_lag_seconds{input,partition}",
    "instances",
    "instances_clock_lag_seconds",
}
ABOUT = About(policy="9f2c", delivery="exactly_once", app_id="span-finalizer")


class Worker:
    """A worker of which only its partitions are seen."""

    def __init__(self, *partitions: PartitionView) -> None:
        self.now: Iterable[PartitionView] = partitions
        self.rekeyed: Iterable[SourceView] = ()
        self.processes: InstancesView | None = None

    def partitions(self) -> Iterable[PartitionView]:
        return self.now

    def sources(self) -> Iterable[SourceView]:
        return self.rekeyed

    def instances(self) -> InstancesView | None:
        return self.processes

    def broker_clock_offset_seconds(self) -> float:
        return -0.25


def make_metrics(*partitions: PartitionView) -> tuple[Metrics, Worker]:
    """Metrics of a worker with two inputs and two rules that has these partitions."""
    metrics = Metrics(inputs=["spans.events", "otlp_logs"], rules=["default", "uploads"], about=ABOUT)
    worker = Worker(*partitions)
    metrics.watch(worker)
    return metrics, worker


def scraped(metrics: Metrics) -> dict[str, float]:
    """Sample as `name{label=value,...}` (without the prefix, labels sorted) -> value, through the text format."""
    return {
        sample.name.removeprefix(PREFIX)
        + (
            "{" + ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items())) + "}" if sample.labels else ""
        ): sample.value
        for family in parse_text(generate_latest(metrics.registry).decode())
        for sample in family.samples
    }


def test_the_names_and_labels_are_the_contract() -> None:
    """Dashboards and alerts are written against these names: none is missing, none twice, none added in silence."""
    names = [row.metric.removeprefix(PREFIX) for row in table()]
    assert len(names) == len({name.partition("{")[0] for name in names})
    assert set(names) == CONTRACT | ADDED


def test_each_metric_says_what_it_means_and_what_to_do() -> None:
    """Somebody at 3 am reads what a figure means and where to look next, in sentences that fit a Markdown table."""
    for row in table():
        for text in (row.meaning, row.what_to_do):
            assert text.endswith("."), row.metric
            assert "|" not in text, row.metric
            assert "\n" not in text, row.metric
        assert row.unit, row.metric


def test_what_is_scraped_is_the_catalogue() -> None:
    """Every metric of the catalogue is exposed with its type and its meaning, and none beside it but the process's."""
    families = {family.name: family for family in parse_text(generate_latest(make_metrics()[0].registry).decode())}
    ours = {name for name in families if name.startswith(PREFIX)}
    assert ours == {PREFIX + metric.name.removesuffix("_total") for metric in CATALOGUE}
    for metric in CATALOGUE:
        family = families[PREFIX + metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.type.value, metric.meaning)
    assert {"process_resident_memory_bytes", "python_info", "python_gc_collections"} <= families.keys()


def test_only_histograms_have_buckets_and_they_rise() -> None:
    """A histogram whose bounds are out of order counts nonsense."""
    for metric in CATALOGUE:
        assert bool(metric.buckets) == (metric.type is Type.HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_closed_sets_of_labels_are_those_of_the_law() -> None:
    """Each cause, kind and reason has its series at 0 before its first count, so that `rate` sees the first."""
    samples = scraped(make_metrics()[0])
    for cause in Cause:
        assert samples[f"finals_total{{cause={cause.value},rule=uploads}}"] == 0
        assert samples[f"dead_letters_total{{cause={cause.value}}}"] == 0
    for kind in set(Kind) - {Kind.DUE}:
        assert samples[f"evidence_total{{input=otlp_logs,kind={kind.name.lower()}}}"] == 0
    for reason in Reason:
        assert samples[f"rejected_total{{input=spans.events,reason={reason.value}}}"] == 0
    for paused in PauseReason:
        assert samples[f"closing_paused{{reason={paused.value}}}"] == 0
    assert samples[f"dead_letters_total{{cause={LetterKind.MISSING_START.value}}}"] == 0


def test_the_tallies_of_the_road_add_up() -> None:
    """What each frame counted is added, with the kinds of evidence in lower case."""
    metrics, _ = make_metrics()
    for _ in range(2):
        metrics.apply(
            Counter(
                {
                    ("evidence_total", "spans.events", "START"): 3,
                    ("finals_total", "heartbeat_lost", "uploads"): 1,
                    ("dead_letters_total", "missing_start"): 2,
                    ("rejected_total", "otlp_logs", "malformed"): 1,
                    ("late_evidence_total", "HEARTBEAT"): 5,
                    ("verdicts_overturned_total", "default"): 1,
                    ("misrouted_total", "spans.events"): 4,
                }
            )
        )
    samples = scraped(metrics)
    assert samples["evidence_total{input=spans.events,kind=start}"] == 6
    assert samples["finals_total{cause=heartbeat_lost,rule=uploads}"] == 2
    assert samples["dead_letters_total{cause=missing_start}"] == 4
    assert samples["rejected_total{input=otlp_logs,reason=malformed}"] == 2
    assert samples["late_evidence_total{kind=heartbeat}"] == 10
    assert samples["verdicts_overturned_total{rule=default}"] == 2
    assert samples["misrouted_total{input=spans.events}"] == 8


def test_what_is_not_configured_is_other() -> None:
    """Rules of an earlier policy, which restored states still name, share one series: labels stay bounded."""
    metrics, _ = make_metrics()
    for number in range(100):
        metrics.apply(Counter({("finals_total", "timeout", f"gone-{number}"): 1}))
    samples = scraped(metrics)
    assert samples["finals_total{cause=timeout,rule=other}"] == 100
    assert not [name for name in samples if "gone" in name]


@pytest.mark.parametrize(
    "counted",
    [
        ("finals_total", "vanished", "default"),
        ("late_evidence_total", "DUE"),
        ("rejected_total", "spans.events", "because"),
        ("finals_total", "timeout"),
        ("finals", "timeout", "default"),
        ("open_spans",),
        ("closing_delay_seconds",),
    ],
)
def test_what_the_catalogue_does_not_know_is_a_bug(counted: tuple[str, ...]) -> None:
    """A count that no catalogue entry has a place for stops the worker; it is not lost and invents no series."""
    metrics, _ = make_metrics()
    before = scraped(metrics).keys()
    with pytest.raises(ValueError, match=r"the catalogue has no counter|is not a value of the label"):
        metrics.apply(Counter({counted: 1}))
    assert scraped(metrics).keys() == before


def test_gauges_are_read_from_the_partitions_at_the_scrape() -> None:
    """Sizes are summed over the partitions, the oldest and the shortest stand, and pauses count partitions."""
    first = PartitionView(
        number=3,
        open_spans=100,
        oldest_open_seconds=7.5,
        due_backlog=2,
        clock_lag_seconds=0.25,
        caught_up=True,
        may_close=True,
        remembered_spans=10,
        remembered_bytes=1_000,
        memory_horizon_seconds=900.0,
    )
    second = PartitionView(
        number=4,
        open_spans=1,
        oldest_open_seconds=60.0,
        due_backlog=5,
        clock_lag_seconds=30.0,
        paused_inputs=("otlp_logs",),
        closing_paused=(PauseReason.BEHIND, PauseReason.INPUT_PAUSED),
        remembered_spans=1,
        remembered_bytes=100,
        memory_horizon_seconds=600.0,
    )
    third = PartitionView(number=5, closing_paused=(PauseReason.BEHIND,))
    samples = scraped(make_metrics(first, second, third)[0])
    expected = {
        "open_spans": 101,
        "oldest_open_seconds": 60.0,
        "due_backlog": 7,
        "remembered_spans": 11,
        "remembered_bytes": 1_100,
        "memory_horizon_seconds": 600.0,
        "broker_clock_offset_seconds": -0.25,
        "partition_clock_lag_seconds{partition=4}": 30.0,
        "caught_up{partition=3}": 1,
        "caught_up{partition=4}": 0,
        "may_close{partition=3}": 1,
        "may_close{partition=4}": 0,
        "closing_paused{reason=behind}": 2,
        "closing_paused{reason=input_paused}": 1,
        "closing_paused{reason=blind}": 0,
        "input_paused{input=otlp_logs}": 1,
        "input_paused{input=spans.events}": 0,
    }
    assert {name: samples[name] for name in expected} == expected


def test_processes_are_told_of_where_somebody_listens() -> None:
    """How many are known, and how far they are heard; without a topic of instances there are no such figures."""
    metrics, worker = make_metrics(PartitionView(number=0))
    assert not {"instances", "instances_clock_lag_seconds"} & scraped(metrics).keys()
    worker.processes = InstancesView(known=3, clock_lag_seconds=0.5, caught_up=True)
    samples = scraped(metrics)
    assert (samples["instances"], samples["instances_clock_lag_seconds"]) == (3, 0.5)


def test_a_source_that_holds_back_closing_is_named() -> None:
    """Each partition of a re-keyed input has its lag; where it is held or lost records, that is told of its input."""
    metrics, worker = make_metrics(PartitionView(number=0, paused_inputs=("spans.events",)))
    worker.rekeyed = [
        SourceView(topic="otlp_logs", number=0, clock_lag_seconds=0.25),
        SourceView(topic="otlp_logs", number=11, clock_lag_seconds=90.0, paused=True, gap_records=4),
        SourceView(topic="otlp_logs", number=12),
    ]
    for _ in range(2):
        samples = scraped(metrics)
        assert samples["source_clock_lag_seconds{input=otlp_logs,partition=0}"] == 0.25
        assert samples["source_clock_lag_seconds{input=otlp_logs,partition=11}"] == 90
        assert "source_clock_lag_seconds{input=otlp_logs,partition=12}" not in samples
        assert samples["input_paused{input=otlp_logs}"] == samples["input_paused{input=spans.events}"] == 1
        assert samples["input_gap_records_total{input=otlp_logs}"] == 4


def test_a_revoked_partition_takes_its_series_along() -> None:
    """A partition that another worker has now is that worker's to report."""
    metrics, worker = make_metrics(PartitionView(number=0), PartitionView(number=1))
    assert "caught_up{partition=1}" in scraped(metrics)
    worker.now = [PartitionView(number=0)]
    samples = scraped(metrics)
    assert "caught_up{partition=0}" in samples
    assert "caught_up{partition=1}" not in samples


def test_what_is_not_known_has_no_sample() -> None:
    """Nothing forgotten is no horizon of 0 seconds, and a worker without partitions yet is not one with none open."""
    assert "memory_horizon_seconds" not in scraped(make_metrics(PartitionView(number=0))[0])
    assert scraped(make_metrics()[0])["open_spans"] == 0
    assert "open_spans" not in scraped(Metrics(inputs=["spans.events"], rules=["default"], about=ABOUT))


def test_lost_records_are_counted_once_and_never_uncounted() -> None:
    """The total of records that retention ate rises by what is new, whatever becomes of the partition that told it."""
    metrics, worker = make_metrics(PartitionView(number=0, input_gap_records={"spans.events": 100}))

    def total() -> float:
        return scraped(metrics)["input_gap_records_total{input=spans.events}"]

    assert total() == 100
    worker.now = [PartitionView(number=0, input_gap_records={"spans.events": 130})]
    assert total() == 130
    worker.now = []
    assert total() == 130
    worker.now = [PartitionView(number=0, input_gap_records={"spans.events": 7})]
    assert total() == 137
    assert total() == 137


def test_a_delay_counts_for_every_span_that_had_it() -> None:
    """One call for a group of spans is the same as one a span; a value on a bound belongs to that bucket."""
    metrics, _ = make_metrics()
    metrics.observe_closing_delay(0.1, 3)
    metrics.observe_closing_delay(0.3)
    metrics.observe_closing_delay(1_000.0)
    samples = scraped(metrics)
    assert samples["closing_delay_seconds_bucket{le=0.05}"] == 0
    assert samples["closing_delay_seconds_bucket{le=0.1}"] == 3
    assert samples["closing_delay_seconds_bucket{le=0.5}"] == 4
    assert samples["closing_delay_seconds_bucket{le=300.0}"] == 4
    assert samples["closing_delay_seconds_bucket{le=+Inf}"] == samples["closing_delay_seconds_count"] == 5
    assert samples["closing_delay_seconds_sum"] == pytest.approx(1_000.6)


def test_groups_and_restores_are_measured() -> None:
    """Seconds and records of each are there, and the records of restores also as one total."""
    metrics, _ = make_metrics()
    metrics.group_committed(0.02, 4_000)
    metrics.restored(0.4, 120_000)
    metrics.restored(0.6, 80_000)
    samples = scraped(metrics)
    assert samples["group_commit_seconds_sum"] == pytest.approx(0.02)
    assert samples["group_records_sum"] == 4_000
    assert samples["restore_seconds_count"] == 2
    assert samples["restored_records_total"] == 200_000


def test_a_slow_close_names_a_trace() -> None:
    """OpenMetrics carries a trace id as exemplar, in the bucket of its delay; the plain text format has none."""
    metrics, _ = make_metrics()
    metrics.observe_closing_delay(2.5, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    text = encode(metrics.registry).decode()
    exemplars = {
        sample.labels["le"]: sample.exemplar
        for family in parse_openmetrics(text)  # type: ignore[no-untyped-call]
        if family.name == f"{PREFIX}closing_delay_seconds"
        for sample in family.samples
        if sample.exemplar
    }
    assert list(exemplars) == ["5.0"]
    assert exemplars["5.0"].labels == {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    assert "4bf92f" not in generate_latest(metrics.registry).decode()


def test_versions_and_configuration_are_told() -> None:
    """Which version, policy and delivery run can be compared across workers."""
    told = [name for name, value in scraped(make_metrics()[0]).items() if "_info{" in name and value == 1]
    assert "config_info{app_id=span-finalizer,delivery=exactly_once,policy=9f2c}" in told
    assert any(name.startswith("build_info{aiokafka=") and f"version={ABOUT.version}" in name for name in told)
