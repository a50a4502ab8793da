"""The worker's metrics: what the road counted, what the writer and the restore measured, what the partitions are.

Counts are added as the road's tallies come; what describes partitions is read from a `View` when somebody scrapes, so
it costs nothing in between. Names, meanings and label values are `metrics_catalogue`'s. All of it belongs to the
event loop's thread.
"""

from __future__ import annotations

import platform
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from finalizer import RUNNING, __version__
from finalizer.shell.metrics_catalogue import CATALOGUE, KIND, METRICS, OTHER, PREFIX, Label, Metric, PauseReason, Type

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Series = tuple[str, ...]
"""Name of a metric and the values of its labels."""
Samples = Mapping[Series, float]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What runs here: on `/version`, `build_info` and `config_info`."""

    policy: str
    """Fingerprint of the policy."""
    delivery: str
    app_id: str
    version: str = __version__
    running: str = RUNNING.value
    """`compiled`, `pure` or `outdated`."""
    python: str = platform.python_version()
    faust: str = metadata.version("faust-streaming")
    aiokafka: str = metadata.version("aiokafka")


class PartitionView(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of this worker, as it is now."""

    number: int
    open_spans: int = 0
    open_bytes: int = 0
    oldest_open_seconds: float | None = None
    """None: no span is open."""
    due_backlog: int = 0
    clock_lag_seconds: float = 0.0
    caught_up: bool = False
    may_close: bool = False
    paused_inputs: tuple[str, ...] = ()
    """Input topics that are held because too many of their records are unusable."""
    closing_paused: tuple[PauseReason, ...] = ()
    held_groups: tuple[str, ...] = ()
    """Groups that are suspected to be cut off, whose patience stands still."""
    remembered_spans: int = 0
    remembered_bytes: int = 0
    memory_horizon_seconds: float | None = None
    """None: nothing was forgotten."""
    input_gap_records: dict[str, int] = {}
    """Input topic -> records that retention deleted unread, counted since this worker has the partition."""


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of a re-keyed input, as it is now."""

    topic: str
    number: int
    clock_lag_seconds: float | None = None
    """As the partitions of this worker know it; None: it has none."""
    paused: bool = False
    """It is re-keyed here, and held because too many of its records are unusable."""
    gap_records: int = 0
    """Records that retention deleted unread, counted since it is re-keyed here."""


class InstancesView(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of processes whose heartbeats count for their spans, as it is now."""

    known: int
    clock_lag_seconds: float
    caught_up: bool


class View(Protocol):
    """What a scrape asks of the worker. All answers come at once: no I/O, no waiting."""

    def partitions(self) -> Iterable[PartitionView]:
        """The partitions assigned to this worker, those being restored among them."""

    def sources(self) -> Iterable[SourceView]:
        """All partitions of the inputs that are re-keyed."""

    def instances(self) -> InstancesView | None:
        """The processes; None where nobody listens to them."""

    def broker_clock_offset_seconds(self) -> float:
        """How far the broker's clock is ahead of this worker's."""


class Metrics(Collector):
    """All of a worker's metrics, in a registry of their own beside those of the process.

    `inputs` are the topics and `rules` the rules (the default's name among them) that may become label values.
    """

    def __init__(self, *, inputs: Iterable[str], rules: Iterable[str], about: About) -> None:
        self._configured = {"input": tuple(inputs), "rule": tuple(rules)}
        self._about = about
        self._view: View | None = None
        self._admitted: dict[Series, Series] = {}
        self._totals: defaultdict[Series, float] = defaultdict(float)
        self._histograms = {one.name: _Histogram(one.buckets) for one in CATALOGUE if one.type is Type.HISTOGRAM}
        self._gaps: dict[tuple[int, str], int] = {}
        self._totals |= {series: 0.0 for one in CATALOGUE if one.type is Type.COUNTER for series in self._every(one)}
        self.registry = CollectorRegistry(auto_describe=True)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def watch(self, view: View) -> None:
        """Read the partitions from `view` from now on; until then their gauges have no samples."""
        self._view = view

    def apply(self, tally: Counter[Series]) -> None:
        """Add what the road counted: (name of a counter, label values) -> count.

        An input or a rule that is not configured counts as `other`: states outlive the policy that named their rule.
        Raises `ValueError` for anything else that the catalogue does not know, which is a bug of ours.
        """
        totals, admitted = self._totals, self._admitted
        for raw, count in tally.items():
            totals[admitted.get(raw) or self._admit(raw)] += count

    def observe_closing_delay(self, seconds: float, count: int = 1, *, trace_id: str | None = None) -> None:
        """`count` spans had their finals on the topic `seconds` after they were due; `trace_id` of one as exemplar."""
        self._histograms["closing_delay_seconds"].observe(seconds, count, trace_id=trace_id)

    def group_committed(self, seconds: float, records: int) -> None:
        """A group of `records` input records became durable in `seconds`."""
        self._histograms["group_commit_seconds"].observe(seconds)
        self._histograms["group_records"].observe(records)

    def restored(self, seconds: float, records: int) -> None:
        """A partition was restored from `records` changelog records in `seconds`."""
        self._histograms["restore_seconds"].observe(seconds)
        self._totals["restored_records_total",] += records

    def collect(self) -> Iterable[Family]:
        """The catalogue, in its order, with the values of this moment."""
        families: dict[str, Family] = {}
        counted: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for metric in CATALOGUE:
            name, labels = PREFIX + metric.name, [label.name for label in metric.labels]
            if metric.type is Type.HISTOGRAM:
                families[metric.name] = self._histograms[metric.name].family(name, metric.meaning)
            else:
                kind = CounterMetricFamily if metric.type is Type.COUNTER else GaugeMetricFamily
                families[metric.name] = counted[metric.name] = kind(name, metric.meaning, labels=labels)
        for samples in (self._gauges(), self._totals):
            for series, value in samples.items():
                counted[series[0]].add_metric(series[1:], value)
        return families.values()

    def _admit(self, raw: Series) -> Series:
        metric = METRICS.get(raw[0])
        if metric is None or metric.type is not Type.COUNTER or len(raw) != len(metric.labels) + 1:
            raise ValueError(f"{raw}: the catalogue has no counter of this name with {len(raw) - 1} labels.")
        series = (raw[0], *map(self._label_value, metric.labels, raw[1:]))
        if OTHER not in series:
            self._admitted[raw] = series
        return series

    def _label_value(self, label: Label, value: str) -> str:
        if label.values is None:
            return value if value in self._configured[label.name] else OTHER
        value = value.lower() if label is KIND else value
        if value not in label.values:
            raise ValueError(f"{value!r} is not a value of the label {label.name!r}.")
        return value

    def _every(self, metric: Metric) -> list[Series]:
        """All series that a metric can have, so that each is at 0 before its first count."""
        every: list[Series] = [(metric.name,)]
        for label in metric.labels:
            values = self._configured[label.name] if label.values is None else label.values
            every = [(*series, value) for series in every for value in values]
        return every

    def _gauges(self) -> Samples:
        about = self._about
        samples: dict[Series, float] = {
            ("build_info", about.version, about.running, about.python, about.faust, about.aiokafka): 1,
            ("config_info", about.app_id, about.delivery, about.policy): 1,
        }
        if self._view is None:
            return samples
        partitions, sources = tuple(self._view.partitions()), tuple(self._view.sources())
        self._count_gaps((one.number, *gap) for one in partitions for gap in one.input_gap_records.items())
        self._count_gaps((one.number, one.topic, one.gap_records) for one in sources)
        instances = self._view.instances()
        if instances is not None:
            samples["instances",] = instances.known
            samples["instances_clock_lag_seconds",] = instances.clock_lag_seconds
        samples["broker_clock_offset_seconds",] = self._view.broker_clock_offset_seconds()
        for name in ("open_spans", "open_bytes", "due_backlog", "remembered_spans", "remembered_bytes"):
            samples[name,] = sum(getattr(one, name) for one in partitions)
        samples["oldest_open_seconds",] = max((one.oldest_open_seconds or 0.0 for one in partitions), default=0.0)
        horizons = [one.memory_horizon_seconds for one in partitions if one.memory_horizon_seconds is not None]
        if horizons:
            samples["memory_horizon_seconds",] = min(horizons)
        for one in partitions:
            number = str(one.number)
            samples["partition_clock_lag_seconds", number] = one.clock_lag_seconds
            samples["caught_up", number] = one.caught_up
            samples["may_close", number] = one.may_close
        for source in sources:
            if source.clock_lag_seconds is not None:
                samples["source_clock_lag_seconds", source.topic, str(source.number)] = source.clock_lag_seconds
        for topic in self._configured["input"]:
            held = sum(topic in one.paused_inputs for one in partitions)
            samples["input_paused", topic] = held + sum(one.paused and one.topic == topic for one in sources)
        for reason in PauseReason:
            samples["closing_paused", reason.value] = sum(reason in one.closing_paused for one in partitions)
        return samples

    def _count_gaps(self, counts: Iterable[tuple[int, str, int]]) -> None:
        """Add what is new in the counts by (partition, input topic): a total that shrank with a revoked partition
        would, to Prometheus, be a restart, and what is left of it a new loss.
        """
        for number, topic, records in counts:
            known = self._gaps.get((number, topic), 0)
            self._gaps[number, topic] = records
            new = records - known if records >= known else records
            self._totals[self._admit(("input_gap_records_total", topic))] += new


class _Histogram:
    """A histogram that takes a value many times at once, which the library's does not."""

    def __init__(self, buckets: tuple[float, ...]) -> None:
        self._bounds = buckets
        self._counts = [0] * (len(buckets) + 1)
        self._exemplars: dict[int, Exemplar] = {}
        self._sum = 0.0

    def observe(self, value: float, count: int = 1, *, trace_id: str | None = None) -> None:
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] += count
        self._sum += value * count
        if trace_id is not None:
            self._exemplars[bucket] = Exemplar({"trace_id": trace_id}, value, time.time())

    def family(self, name: str, meaning: str) -> HistogramMetricFamily:
        total, buckets = 0, list[tuple[str, float] | tuple[str, float, Exemplar]]()
        for number, bound in enumerate((*self._bounds, float("inf"))):
            total += self._counts[number]
            exemplar = self._exemplars.get(number)
            le = str(bound) if bound < float("inf") else "+Inf"
            buckets.append((le, total) if exemplar is None else (le, total, exemplar))
        return HistogramMetricFamily(name, meaning, buckets, self._sum)
