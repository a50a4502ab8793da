"""What the demo shows while it runs: a board on a terminal, one line a second in a pipe, and at its end a table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Protocol, Self

from rich import box
from rich.bar import Bar
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from finalizer.cli.demo.audit import Report
from finalizer.core.causes import FACTS

REDRAWS_A_SECOND = 8
BAR_WIDTH = 32
PLAIN_WIDTH = 100
COLUMNS = ("spans", "right", "wrong", "missing", "twice")
COLOURS = {
    cause.value: "green" if not facts.incomplete else "yellow" for cause, facts in FACTS.items() if facts.reported
}
"""Of causes that a client told; what was inferred is red."""


class View(NamedTuple):
    """One look at the demo. ``delays``: median and 99th percentile from deadline to topic, in seconds."""

    doing: str
    seconds: float = 0.0
    events: int = 0
    events_per_second: float = 0.0
    open: int = 0
    causes: Mapping[str, int] = MappingProxyType({})
    letters: int = 0
    revised: int = 0
    rejected: int = 0
    delays: tuple[float, float] | None = None


class Board(Protocol):
    """Shows views between entering and leaving it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, view: View) -> None:
        """Show this view now, or the next time there is room for one."""


class LiveBoard:
    """A board that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=REDRAWS_A_SECOND, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, view: View) -> None:
        """Draw the view."""
        title = f"Span Finalizer demo · {view.seconds:.0f} s · {view.doing}"
        self._live.update(Panel(Group(figures(view), "", causes_table(view)), title=title))


class PlainBoard:
    """One line a second, for pipes and logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, view: View) -> None:
        """Write the view as one line, if the last one is a second old."""
        if view.seconds < self._next:
            return
        self._next = int(view.seconds) + 1.0
        causes = " ".join(f"{cause}={number}" for cause, number in sorted(view.causes.items()) if number)
        self._console.print(
            f"{view.seconds:4.0f}s {view.doing}: events={view.events} ({view.events_per_second:.0f}/s) "
            f"open={view.open} dead_letters={view.letters} revised={view.revised} rejected={view.rejected} "
            f"delay={delays_in_words(view.delays)} closed: {causes or 'none'}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def figures(view: View) -> Table:
    """The numbers of a view, each with its name below."""
    shown = {
        "open spans": (f"{view.open}", "bold cyan"),
        "events": (f"{view.events}", "bold"),
        "a second": (f"{view.events_per_second:.0f}", "bold"),
        "dead letters": (f"{view.letters}", "bold yellow"),
        "revised": (f"{view.revised}", "bold magenta"),
        "rejected": (f"{view.rejected}", "bold red"),
        "deadline to topic": (delays_in_words(view.delays), "bold green"),
    }
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_row(*(Text(value, style, no_wrap=True) for value, style in shown.values()))
    grid.add_row(*(Text(name, "dim", no_wrap=True) for name in shown))
    return grid


def delays_in_words(delays: tuple[float, float] | None) -> str:
    """Median and 99th percentile, or a dash."""
    return "-" if delays is None else f"p50 {delays[0]:.2f}s, p99 {delays[1]:.2f}s"


def causes_table(view: View) -> Table:
    """Closed spans by cause, with bars."""
    table = Table.grid(padding=(0, 2))
    most = max(view.causes.values(), default=0)
    for cause, number in sorted(view.causes.items(), key=lambda item: -item[1]):
        colour = COLOURS.get(cause, "red")
        table.add_row(Text(cause, colour), str(number), Bar(most or 1, 0, number, width=BAR_WIDTH, color=colour))
    return table


def show_report(console: Console, report: Report) -> None:
    """Print the comparison of what happened with what was written."""
    console.print("What truly happened, against what was written:")
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("clients that")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for name, row in report.rows.items():
        wrongs = [f"[red]{number}[/red]" if number else "0" for number in (row.wrong, row.missing, row.twice)]
        table.add_row(name, str(row.spans), str(row.right), *wrongs)
    table.add_section()
    totals = [sum(getattr(row, column) for row in report.rows.values()) for column in COLUMNS]
    table.add_row("all", *map(str, totals))
    console.print(table)
    for offence in report.offences:
        console.print(offence, highlight=False, markup=False, soft_wrap=True)
