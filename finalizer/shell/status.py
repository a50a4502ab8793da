"""What the worker says of itself: the view behind the gauges, liveness and readiness."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

from finalizer.core.instances import Instances
from finalizer.core.model import Phase
from finalizer.core.sources import Place
from finalizer.shell.assignment import Assignment
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.metrics import InstancesView, PartitionView, SourceView
from finalizer.shell.metrics_catalogue import PauseReason
from finalizer.shell.partition import Partition

STUCK_SECONDS = 30.0
SILENT_SECONDS = 5.0
"""Without an answer of the broker for so long a worker is not ready: nothing can be read or written."""
_BEGAN = time.monotonic()
_LOOKED_AT = 64
_TOLD = 20
_TODO = {
    PauseReason.OUTAGE: "few heartbeats come from the groups that are held: look at the road from these clients; "
    "if they are dead, `finalizer release outage`",
    PauseReason.BREAKER: "too many open spans were closed at once: look at what was closed and what was changed; "
    "if it is right, `finalizer release breaker`",
    PauseReason.INSTANCES: "the topic of instances has not been read up to now, and spans that name one wait for it: "
    "look at the log, and whether the worker may read it",
}


class Status:
    """Reads, never changes. Called on the worker's event loop."""

    def __init__(self, owner: Assignment, broker_time: BrokerTime) -> None:
        self._owner = owner
        self._time = broker_time
        self.stopping: str | None = None

    def partitions(self) -> Iterable[PartitionView]:
        """One view for each partition that is ours, and for each that is being restored."""
        restoring = self._owner.restoring - set(self._owner.partitions)
        views = [self._view(one) for one in self._owner.partitions.values()]
        return views + [PartitionView(number=n, closing_paused=(PauseReason.RESTORING,)) for n in restoring]

    def sources(self) -> Iterable[SourceView]:
        """Every partition of the re-keyed inputs, with what the partitions here have heard of it."""
        rekey = self._owner.rekey
        if rekey is None:
            return []
        here = {(one.topic, one.number): one for one in rekey.sources.values()}
        lags = self._source_lags()
        return [
            SourceView(
                topic=place[0],
                number=place[1],
                clock_lag_seconds=lags.get(place),
                paused=place in here and here[place].rekeying.paused,
                gap_records=here[place].gap if place in here else 0,
            )
            for place in sorted(rekey.places | lags.keys())
        ]

    def _source_lags(self) -> dict[Place, float]:
        """Seconds by which each source is behind, where it is furthest; one that nobody vouched for, or for no time
        yet, since we wait."""
        now, lags = self._time.now(), dict[Place, float]()
        for one in self._owner.partitions.values():
            if one.course.sources is None:
                continue
            waiting = time.monotonic() - one.started_at
            for place, newest in one.course.sources.newest.items():
                lag = (now - newest.clock) / 1e9 if newest is not None and newest.clock else waiting
                lags[place] = max(lags.get(place, 0.0), lag)
        return lags

    def instances(self) -> InstancesView | None:
        """What is known of processes; None where nobody listens to them."""
        return instances_view(self._owner.making.instances, self._time)

    def broker_clock_offset_seconds(self) -> float:
        return self._time.offset_seconds()

    def live(self) -> str | None:
        """None while the worker makes progress, else where it is stuck."""
        now = time.monotonic()
        for one in self._owner.partitions.values():
            if one.running and not one.committing and now - one.progressed_at > STUCK_SECONDS:
                return f"partition {one.number} has made no progress for {now - one.progressed_at:.0f} s"
        for source in () if self._owner.rekey is None else self._owner.rekey.sources.values():
            if source.running and source.busy and now - source.progressed_at > STUCK_SECONDS:
                return f"re-keying {source.topic} (partition {source.number}) makes no progress"
        return None

    def ready(self) -> str | None:
        """None once all partitions of this generation are restored and while the broker answers, else why not."""
        owner = self._owner
        if self.stopping is not None:
            return self.stopping
        if owner.stopped.done():
            return owner.stopped.result().sentence
        silence = 0.0 if owner.consumer is None else owner.consumer.silence()
        if silence > SILENT_SECONDS:
            return f"the broker has not answered for {silence:.0f} s"
        if owner.restoring:
            return f"restoring partitions {', '.join(map(str, sorted(owner.restoring)))}"
        if owner.generation < 0 or not owner.assigned:
            return "waiting for the group to assign partitions"
        if not all(one.running for one in owner.partitions.values()):
            return "rebalancing"
        return None

    def detail(self) -> dict[str, Any]:
        """Being behind or paused is told here and by metrics, not by 503: that would block the rollout of the cure."""
        instances = self.instances()
        return {
            "partitions": [
                {
                    "number": view.number,
                    "state": _state(view),
                    "caught_up": view.caught_up,
                    "clock_lag_seconds": round(view.clock_lag_seconds, 3),
                    "open_spans": view.open_spans,
                    "paused_inputs": list(view.paused_inputs),
                    "held_groups": list(view.held_groups[:_TOLD]),
                    "todo": [_TODO[reason] for reason in view.closing_paused if reason in _TODO],
                }
                for view in self.partitions()
            ],
            "sources": [
                {
                    "topic": source.topic,
                    "partition": source.number,
                    "clock_lag_seconds": source.clock_lag_seconds and round(source.clock_lag_seconds, 3),
                    "paused": source.paused,
                }
                for source in self.sources()
            ],
            "instances": None
            if instances is None
            else {
                "known": instances.known,
                "caught_up": instances.caught_up,
                "clock_lag_seconds": round(instances.clock_lag_seconds, 3),
            },
        }

    def _view(self, partition: Partition) -> PartitionView:
        spans, reading, watch = partition.road.spans, partition.reading, partition.course.watch
        now = self._time.now()
        clock = now if reading is None else reading.clock
        oldest = next(
            (one for one in islice(spans.states.values(), _LOOKED_AT) if one.phase is Phase.OPEN),
            None,
        )
        horizon = spans.memory.horizon
        return PartitionView(
            number=partition.number,
            open_spans=spans.open,
            open_bytes=spans.bytes,
            oldest_open_seconds=None if oldest is None else max(0.0, (now - oldest.first.heard_at) / 1e9),
            due_backlog=spans.windows.backlog(clock),
            clock_lag_seconds=max(0.0, (now - clock) / 1e9),
            caught_up=reading is not None and reading.caught_up,
            may_close=reading is not None and reading.may_close and partition.running and not watch.breaker.tripped,
            paused_inputs=tuple(sorted(partition.paused_inputs)),
            closing_paused=_reasons(partition),
            held_groups=watch.outages.held,
            remembered_spans=spans.memory.fingerprints + len(spans.states) - spans.open,
            remembered_bytes=spans.memory.bytes,
            memory_horizon_seconds=max(0.0, (now - horizon) / 1e9) if horizon else None,
            input_gap_records=dict(partition.gaps),
        )


def instances_view(instances: Instances | None, broker_time: BrokerTime) -> InstancesView | None:
    """What is known of processes, as it is now. A view that has heard nothing yet is as old as this worker."""
    if instances is None:
        return None
    lag = (broker_time.now() - instances.clock) / 1e9 if instances.clock else time.monotonic() - _BEGAN
    return InstancesView(known=len(instances), clock_lag_seconds=max(0.0, lag), caught_up=instances.caught_up)


def _reasons(partition: Partition) -> tuple[PauseReason, ...]:
    reading = partition.reading
    if not partition.running:
        return (PauseReason.REBALANCING,)
    if reading is None:
        return (PauseReason.SETTLING,)
    told = {
        PauseReason.SETTLING: reading.settling,
        PauseReason.BEHIND: reading.behind,
        PauseReason.BLIND: reading.blind,
        PauseReason.OUTAGE: bool(partition.course.watch.outages.held),
        PauseReason.BREAKER: bool(partition.course.watch.breaker.tripped),
        PauseReason.INPUT_PAUSED: bool(partition.paused_inputs),
    }
    instances, sources = partition.course.watch.instances, partition.course.sources
    if instances is not None:
        told[PauseReason.INSTANCES] = not instances.caught_up
    if sources is not None:
        told[PauseReason.UNMARKED] = bool(sources.unmarked)
        told[PauseReason.INPUT_PAUSED] |= any(one is not None and one.paused for one in sources.newest.values())
    return tuple(reason for reason, is_so in told.items() if is_so)


def _state(view: PartitionView) -> str:
    if view.may_close and not view.held_groups:
        return "ready"
    return "/".join(view.closing_paused) or "starting"
