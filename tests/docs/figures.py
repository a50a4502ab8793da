"""The tables of README's performance section, made of the figures that the benches kept."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from finalizer.bench.load import LOADS
from tests.bench import kept
from tests.docs.tables import table

NONE_KEPT = "No figures are kept."


def loads() -> str:
    """Every load of `make bench`, ours and the peers'."""

    def told(bench: Mapping[str, Any]) -> str:
        rows, stated = [], []
        for name in (name for name in LOADS if name in bench["loads"]):
            load = bench["loads"][name]
            stated.append(f"- **{name}**: {load['meaning']}. {load['stated']}.")
            rows += [_row(name, who, runs) for who, runs in load["figures"].items()]
        titles = ["load", "who", "events/s, median", "from, to", "CPU s per million", "peak MiB", "last round"]
        where = f"{bench['broker']}; {bench['machine']}; {bench['rounds']} rounds, interleaved."
        return "\n".join([where, "", table(titles, rows), "", *stated])

    return _of("bench", told)


def _row(load: str, who: str, runs: list[Mapping[str, Any]]) -> list[str]:
    rates = [run["events_a_second"] for run in runs]
    return [
        load,
        who,
        f"{statistics.median(rates):,.0f}",
        f"{min(rates):,.0f}, {max(rates):,.0f}",
        f"{statistics.median(run['cpu_seconds_a_million'] for run in runs):.1f}",
        f"{max(run['peak_mib'] for run in runs):,.0f}",
        runs[-1]["note"],
    ]


def profile() -> str:
    """Where the time goes."""

    def told(found: Mapping[str, Any]) -> str:
        whole = found["microseconds"]
        rows = [[stage, f"{share * whole:.2f}", f"{share:.0%}"] for stage, share in found["stages"].items()]
        where = f"Load {found['load']}, {whole:.1f} µs of processor time an event; {found['machine']}."
        return "\n".join([where, "", table(["stage", "µs an event", "share"], rows)])

    return _of("profile", told)


def scale() -> str:
    """What an event costs by what is open, and by partitions."""

    def told(found: Mapping[str, Any]) -> str:
        by_open = table(
            ["open spans", *found["open"]], [["µs an event", *(f"{us:.1f}" for us in found["open"].values())]]
        )
        lanes = {number: found["partitions"][number] for number in sorted(found["partitions"], key=int)}
        by_lanes = table(["partitions", *lanes], [["µs an event", *(f"{us:.1f}" for us in lanes.values())]])
        return "\n".join([f"{found['machine']}.", "", by_open, "", by_lanes])

    return _of("scale", told)


def memory() -> str:
    """What a span takes."""

    def told(found: Mapping[str, Any]) -> str:
        rows = [[kind, f"{one['memory']:.0f}", f"{one['changelog']:.0f}"] for kind, one in found["weights"].items()]
        where = f"{found['spans']:,} spans, the start of each {found['start']} bytes; {found['machine']}."
        return "\n".join([where, "", table(["a span that is", "bytes in memory", "bytes in the changelog"], rows)])

    return _of("memory", told)


def client() -> str:
    """What a span costs an app."""

    def told(found: Mapping[str, Any]) -> str:
        rows = [[name, f"{app:.1f}", f"{cpu:.1f}"] for name, (app, cpu) in found["costs"].items()]
        paired = [
            f"- {name}: {median:.2f} ({low:.2f} to {high:.2f})" for name, (median, low, high) in found["paired"].items()
        ]
        most = max(found["outage"].values())
        return "\n".join(
            [
                f"{found['rounds']} rounds of {found['spans']:,} spans, medians; {found['machine']}.",
                "",
                table(["", "µs a span, app's thread", "µs a span, whole process"], rows),
                "",
                "Paired with BatchSpanProcessor, all rounds:",
                "",
                *paired,
                "",
                f"With its sink down, through 200,000 events and 1,000 spans that beat, it stays at {most:.0f} MiB.",
            ]
        )

    return _of("client", told)


def asgi() -> str:
    """What a request of a small app takes."""

    def told(found: Mapping[str, Any]) -> str:
        rows = []
        for name, one in found["sides"].items():
            ratios = found["paired"].get(name, {})
            pairs = [_paired(ratios[what]) if what in ratios else "" for what in ("p50", "p99", "saturated")]
            rows.append(
                [name, f"{one['p50']:.2f}", f"{one['p99']:.2f}", *pairs[:2], f"{one['saturated']:,.0f}", pairs[2]]
            )
        where = (
            f"{found['rate']:,.0f} requests a second, {found['load']:.0%} of what the bare app can do; "
            f"{found['rounds']} rounds of {found['seconds']:g} s a side; {found['machine']}."
        )
        titles = ["", "p50 ms", "p99 ms", "p50, paired", "p99, paired", "saturated, requests/s", "paired"]
        return "\n".join([where, "", table(titles, rows)])

    return _of("asgi", told)


def _paired(ratio: Mapping[str, float]) -> str:
    return f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def _of(name: str, told: Callable[[Mapping[str, Any]], str]) -> str:
    found = kept.read().get(name)
    return NONE_KEPT if found is None else told(found)
