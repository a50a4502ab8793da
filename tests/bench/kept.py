"""The figures of the last runs, kept in figures.json with the machine that made them; README's tables come of it."""

from __future__ import annotations

import json
import os
import platform
import re
from pathlib import Path
from typing import Any

from finalizer import RUNNING

FIGURES = Path(__file__).with_name("figures.json")


def machine() -> str:
    """The machine and what runs on it, in a line."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    parts = [
        f"{os.cpu_count()} × {model[1] if model else platform.machine()}",
        f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "",
        f"{platform.system()} {platform.release().partition('-')[0]}",
        f"Python {platform.python_version()}",
        f"inner rooms {RUNNING.value}",
    ]
    return ", ".join(part for part in parts if part)


def read() -> dict[str, Any]:
    """All that is kept."""
    kept: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    return kept


def keep(name: str, **told: Any) -> None:
    """Keep the figures of one program, in place of those that it had before."""
    kept = read() | {name: {"machine": machine(), **told}}
    FIGURES.write_text(json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def table(titles: list[str], rows: list[list[str]]) -> str:
    """A table for a terminal: the first column to the left, figures to the right."""
    lines = [titles, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if place else cell.ljust(w) for place, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
