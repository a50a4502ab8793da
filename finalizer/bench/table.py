"""The table of a bench, and what is kept of it for later."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from finalizer.bench.rounds import OURS, Measured
from finalizer.bench.run import Figures

TITLES = ("load", "who", "events/s", "from, to", "CPU s/M", "peak MiB", "paired")


def rows(done: Iterable[Measured]) -> list[tuple[str, ...]]:
    """One row for each load and who ran it; medians of rounds."""
    told: list[tuple[str, ...]] = []
    for load, _, figures in done:
        for who, runs in figures.items():
            rates = [one.events_a_second for one in runs]
            cpu = statistics.median(one.cpu_seconds_a_million for one in runs)
            told.append(
                (
                    load.name,
                    who,
                    f"{statistics.median(rates):,.0f}",
                    f"{min(rates):,.0f}, {max(rates):,.0f}",
                    f"{cpu:.1f}",
                    f"{max(one.peak_mib for one in runs):,.0f}",
                    "" if who == OURS else _ratio(figures.get(OURS, ()), runs),
                )
            )
    return told


def _ratio(ours: Sequence[Figures], theirs: Sequence[Figures]) -> str:
    """How often their rate ours is, round by round."""
    ratios = [a.events_a_second / b.events_a_second for a, b in zip(ours, theirs, strict=False)]
    return f"{statistics.median(ratios):.2f} ×" if ratios else ""


def text(done: Sequence[Measured]) -> str:
    """The table for a terminal."""
    lines = [TITLES, *rows(done)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(TITLES))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def of_rounds(done: Iterable[Measured]) -> dict[str, Any]:
    """The figures of all rounds, for JSON."""
    return {
        load.name: {
            "meaning": load.meaning,
            "stated": "; ".join(stated),
            "figures": {who: [one._asdict() for one in runs] for who, runs in figures.items()},
        }
        for load, stated, figures in done
    }
