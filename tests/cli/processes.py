"""Which processes a command has started, as Linux tells it."""

from pathlib import Path


def parent_of(pid: int) -> int:
    """The parent's id; 0 if there is no such process."""
    try:
        # The name in parentheses may hold anything, so the fields are counted from its end.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def command_of(pid: int) -> str:
    """The command line; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descendants(pid: int) -> set[int]:
    """All processes that this one has started, and those that they have."""
    everybody = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    found, frontier = set[int](), {pid}
    while frontier:
        frontier = {one for one in everybody if parent_of(one) in frontier} - found
        found |= frontier
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of them that still run (a zombie does not)."""
    return {pid for pid in pids if command_of(pid)}
