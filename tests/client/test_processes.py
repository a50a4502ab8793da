"""Real processes: forked, killed, ended by signals. What they told is what is there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

PROJECT = Path(__file__).parent.parent.parent
KILLED = """
import sys, time
from finalizer.client import Client
client = Client("file://{folder}/events", "app", spool="{folder}/spool.db", heartbeat=0.05)
number = 0
while True:
    number += 1
    with client.span("outer", attributes={{"number": number}}):
        client.start_span("inner").end()
    while client.counts["buffered"] > 1000:  # no faster than the disk: what the buffer drops is another test's
        time.sleep(0.001)
"""
NEXT = """
from finalizer.client import Client
with Client("file://{folder}/events", "app", spool="{folder}/spool.db") as client:
    assert client.flush(10)
"""
SIGNALLED = """
import sys, time
from finalizer.client import Client
client = Client("file://{folder}/events", "app")
client.end_with_sigterm()
with client.span("open"):
    client.start_span("ended").end()
    print("ready", flush=True)
    time.sleep(60)
"""
EXITS = """
from finalizer.client import Client
client = Client("file://{folder}/events", "app")
client.start_span("open")
client.start_span("ended").end()
"""


def python(*arguments: str, **streams: Any) -> subprocess.Popen[str]:
    """A child process that finds the project."""
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    return subprocess.Popen([sys.executable, *arguments], env=environment, cwd="/", text=True, **streams)


def events(folder: Path) -> list[dict[str, Any]]:
    """What was written, torn lines left out, as a reader does."""
    found = []
    for line in (folder / "events").read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def names(told: list[dict[str, Any]], kind: str) -> Counter[str]:
    """How many events of a kind have which name."""
    return Counter(event["name"] for event in told if event["type"] == kind)


@pytest.mark.parametrize("spool", ["", "spooled"])
@pytest.mark.parametrize("story", ["parent_and_child", "workers", "pool", "recycled", "in_the_midst"])
def test_an_app_that_forks_notices_nothing(story: str, spool: str, tmp_path: Path) -> None:
    """Parent and children tell their own spans, each once; nothing hangs or is lost, nothing is told for others."""
    assert python("-m", "tests.client.forking", story, str(tmp_path), spool).wait(60) == 0
    told = events(tmp_path)
    starts, ends = names(told, "start"), names(told, "end")
    if story == "parent_and_child":
        assert starts == ends == {"outer": 1, "before": 1, "child": 1, "parent": 1}
        parents = {event.get("parent_span_id") for event in told if event.get("name") in ("child", "parent")}
        assert parents == {next(event["span_id"] for event in told if event.get("name") == "outer")}
    elif story == "workers":
        assert starts == ends == {f"worker {number}": 10 for number in range(4)}
    elif story in ("pool", "recycled"):
        assert starts == ends == {"parent": 1, "pool": 3}
    else:
        assert starts["forked"] == ends["forked"] == 20
        assert ends["busy"] > 0
    ids = Counter(event["span_id"] for event in told if event["type"] == "start")
    assert set(ids.values()) == {1}


def test_a_child_does_not_keep_its_killed_parent_alive(tmp_path: Path) -> None:
    """The parent's spans are ended by the next run, though a child that it forked lives on; the child's are not."""
    parent = python("-m", "tests.client.forking", "orphan", str(tmp_path), "spooled", stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    try:
        assert python("-c", NEXT.format(folder=tmp_path)).wait(20) == 0
        assert names(events(tmp_path), "end") == {"parent": 1}
    finally:
        os.kill(child, signal.SIGKILL)


def test_kills_at_any_moment_lose_nothing_that_was_on_the_disk(tmp_path: Path) -> None:
    """SIGKILL again and again: every span that is heard of has its end, and in the order in which it was told."""
    script = KILLED.format(folder=tmp_path)
    for number in range(1, 7):
        app = python("-c", script)
        until(partial(_has, tmp_path, number * 20_000))
        app.kill()
        assert app.wait(10) == -signal.SIGKILL
    script = script.replace("while True:", "while number < 1:") + "\nassert client.flush(30)\nclient.close()\n"
    assert python("-c", script).wait(60) == 0
    told = events(tmp_path)
    ended = {event["span_id"] for event in told if event["type"] == "end"}
    assert {event["span_id"] for event in told} == ended
    reasons = Counter(event.get("reason", "") for event in told if event["type"] == "end")
    assert set(reasons) <= {"", "restarted"}
    last: dict[str, int] = {}
    for event in told:
        assert event["seq"] <= last.get(event["span_id"], 0) + 1
        last[event["span_id"]] = max(event["seq"], last.get(event["span_id"], 0))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["events", "spool.db"]


def test_sigterm_ends_a_process_as_it_would_without_us(tmp_path: Path) -> None:
    """What was told is written, open spans say `terminate`, and its parent sees that it was ended by the signal."""
    app = python("-c", SIGNALLED.format(folder=tmp_path), stdout=subprocess.PIPE)
    assert app.stdout is not None
    assert app.stdout.readline() == "ready\n"
    app.terminate()
    assert app.wait(10) == -signal.SIGTERM
    app.stdout.close()
    told = events(tmp_path)
    assert names(told, "end") == {"ended": 1}
    assert [event["state"] for event in told if event["type"] == "lifecycle"] == ["terminate"]


def test_a_process_that_just_ends_has_told_all(tmp_path: Path) -> None:
    """No flush, no close: leaving is enough."""
    assert python("-c", EXITS.format(folder=tmp_path)).wait(20) == 0
    assert Counter(event["type"] for event in events(tmp_path)) == {"start": 2, "end": 1, "lifecycle": 1}


def _has(folder: Path, size: int) -> bool:
    return (folder / "events").exists() and (folder / "events").stat().st_size > size


FORKED_IDS = """
import os
from finalizer.client.ids import new_span_id
new_span_id()
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, new_span_id().encode())
    os._exit(0)
assert os.read(read, 16).decode() != new_span_id()
"""


def test_ids_of_a_forked_child_are_its_own() -> None:
    """Random words are drawn many at once: what the parent has left over is not drawn again by its children."""
    assert python("-c", FORKED_IDS).wait(20) == 0
