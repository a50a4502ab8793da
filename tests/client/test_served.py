"""The span processor in a pre-forking server that is not ours: the app notices nothing, whatever becomes of us."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.client.test_processes import NEXT, PROJECT, events, names, python
from tests.waiting import until

NOBODY = "kafka://127.0.0.1:1"
AT_ONCE = "0.1"
REQUESTS = 60
LARGEST_FILE = 40_000
"""Bytes; an empty spool is about as large."""
TMPFS_BYTES = 200_000


class Connection(HTTPConnection):
    """HTTP on a socket in the file system."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


class Served:
    """gunicorn with the app, and what it answers."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._socket = str(folder / "socket")
        self._log = (folder / "log").open("wb")
        self._numbers = iter(range(10**9))
        given = {f"SERVED_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "gunicorn", "-c", "python:tests.client.served", "tests.client.served:app"]
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(PROJECT)]))
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path, "SERVED_SOCKET": self._socket, **given},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        until(partial(os.path.exists, self._socket), limit_seconds=30)

    def ask(self, path: str) -> Any:
        """The answer to one request, which must be as good as any."""
        connection = Connection(self._socket, timeout=30)
        try:
            connection.request("GET", f"{path}?{next(self._numbers)}")
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return json.loads(body)
        finally:
            connection.close()

    @property
    def asked(self) -> int:
        """How many requests there were."""
        return next(self._numbers)

    def end(self) -> None:
        """End it as its supervisor would; it must do so by itself."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


@contextmanager
def served(folder: Path, **settings: str) -> Iterator[Served]:
    """The server; it is gone at the end, and has logged nothing that a server should not."""
    server = Served(folder, **settings)
    try:
        yield server
        server.end()
    finally:
        server.process.kill()
        server.process.wait()
        server._log.close()
    log = (folder / "log").read_text()
    assert not [word for word in ("Traceback", "WORKER TIMEOUT", "[ERROR]", "[CRITICAL]", "Fatal") if word in log], log


def test_master_and_workers_tell_their_own_spans_once(tmp_path: Path) -> None:
    """Spans of every process arrive once; each worker has both threads, and its long requests beat."""
    with served(tmp_path, sink=f"file://{tmp_path}/events") as server:
        workers: set[int] = set()
        while len(workers) < 3:
            workers.add(server.ask("/quick"))
        assert server.process.pid not in workers
        assert server.ask("/long") == ["finalizer-keeper", "finalizer-sender"]
        assert server.ask("/pool") == 0
        asked = server.asked
    told = events(tmp_path)
    assert names(told, "start") == names(told, "end")
    assert names(told, "end") == {"boot": 1, "master": 1, "request": asked, "inner": asked, "pooled": 1}
    numbers = Counter(event["attributes"]["number"] for event in told if event.get("name") == "request")
    assert numbers == dict.fromkeys(range(asked), 2)  # a start and an end
    beaten = {event["span_id"] for event in told if event["type"] == "heartbeat"}
    assert beaten & {event["span_id"] for event in told if event.get("name") == "request"}


def test_without_a_network_nothing_is_noticed_and_nothing_lost(tmp_path: Path) -> None:
    """All requests are answered, the server ends by itself, and the next run sends all spans of all processes, once."""
    with served(tmp_path, sink=NOBODY, spool=f"{tmp_path}/spool.db", exit_seconds="1") as server:
        for _ in range(REQUESTS):
            server.ask("/quick")
        assert len(server.ask("/long")) == 2
        asked = server.asked
    assert python("-c", NEXT.format(folder=tmp_path)).wait(60) == 0
    told = events(tmp_path)
    assert names(told, "start") == names(told, "end") == {"boot": 1, "master": 1, "request": asked, "inner": asked}


def test_without_network_and_spool_nothing_is_noticed(tmp_path: Path) -> None:
    """The events are lost, and nothing else: no request, and no time at the end."""
    with served(tmp_path, sink=NOBODY, exit_seconds=AT_ONCE) as server:
        for path in ["/long", *["/quick"] * REQUESTS]:
            server.ask(path)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system that is nearly full."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("nobody but root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_not_noticed(tmp_path: Path) -> None:
    """The spool lies on a disk that is full, and then the network fails too: requests are answered all the same."""
    settings = {"sink": NOBODY, "spool": f"{tmp_path}/disk/spool.db", "exit_seconds": AT_ONCE}
    with small_disk(tmp_path / "disk") as disk, served(tmp_path, **settings) as server:
        for _ in range(REQUESTS):
            server.ask("/quick")
        full = disk / "full"
        with full.open("wb", buffering=0) as file:
            until(lambda: not _written(file))
        for _ in range(REQUESTS):
            server.ask("/quick")
        assert len(server.ask("/long")) == 2
    assert "cannot be used, events stay in memory" in (tmp_path / "log").read_text()


def test_a_quota_is_not_noticed(tmp_path: Path) -> None:
    """No file may grow beyond a size, and the spool has reached it: requests are answered all the same."""
    limits = {"largest_file": str(LARGEST_FILE), "spool": f"{tmp_path}/spool.db"}
    with served(tmp_path, sink=NOBODY, exit_seconds=AT_ONCE, **limits) as server:
        for _ in range(REQUESTS):
            server.ask("/quick")
        assert len(server.ask("/long")) == 2
    assert "cannot be used, events stay in memory" in (tmp_path / "log").read_text()


def _written(file: Any) -> bool:
    try:
        return bool(file.write(b"x" * 4096))
    except OSError:
        return False
