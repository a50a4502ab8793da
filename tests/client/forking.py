"""Apps that fork, as child processes: `python -m tests.client.forking STORY FOLDER`. Each writes to FOLDER/events."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from finalizer.client import Client, threads


def parent_and_child(client: Client) -> None:
    """A span is open when the process forks; both work on, with spans inside of it, and both end the block."""
    with client.span("outer"):
        client.start_span("before").end()
        pid = os.fork()
        with client.span("child" if pid == 0 else "parent"):
            time.sleep(0.1)
    client.close()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def workers(client: Client) -> None:
    """A pre-forking server: made at import, used by its workers alone; they leave by sys.exit."""
    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            for _ in range(10):
                client.start_span(f"worker {number}").end()
            sys.exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4


def pool(client: Client) -> None:
    """multiprocessing, whose children end without atexit."""
    client.start_span("parent").end()
    children = [multiprocessing.get_context("fork").Process(target=_in_pool, args=[client]) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
        assert child.exitcode == 0


def _in_pool(client: Client) -> None:
    client.start_span("pool").end()


class Signal:
    """As Celery's."""

    def __init__(self) -> None:
        self.receivers: list[Callable[..., None]] = []

    def connect(self, receiver: Callable[..., None], *, weak: bool) -> None:
        self.receivers.append(receiver)


def recycled(client: Client) -> None:
    """Celery, which ends a worker's child after so many tasks: a signal, then os._exit."""
    signals: Any = sys.modules.setdefault("celery.signals", ModuleType("celery.signals"))
    signals.worker_process_shutdown = Signal()
    client.start_span("parent").end()
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            client.start_span("pool").end()
            for receiver in signals.worker_process_shutdown.receivers:
                receiver(signal=signals.worker_process_shutdown, sender=None, pid=os.getpid(), exitcode=0)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0


def orphan(client: Client) -> None:
    """A parent that is killed while its child lives on."""
    client.start_span("parent")
    assert client.flush(10)
    if os.fork() == 0:
        client.start_span("child")
        assert client.flush(10)
        sys.stdout.write(f"{os.getpid()}\n")
        sys.stdout.flush()
        time.sleep(60)
    time.sleep(60)


def in_the_midst(client: Client) -> None:
    """Threads that tell spans all the time, while the process forks again and again."""
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            with client.span("busy"):
                pass

    busy_threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
    for thread in busy_threads:
        thread.start()
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            client.start_span("forked").end()
            os._exit(0 if client.flush(10) else 1)
        assert os.waitpid(pid, 0)[1] == 0
    stop.set()
    for thread in busy_threads:
        thread.join(10)


STORIES: Final[dict[str, Callable[[Client], None]]] = {
    story.__name__: story for story in (parent_and_child, workers, pool, recycled, orphan, in_the_midst)
}


def main(story: str, folder: str, spool: str = "") -> None:
    """Live one story."""
    # A thread that died is started again at once: in a child those of the parent look as if they had.
    threads.RESTART_SECONDS = 0.0  # type: ignore[misc]
    path = Path(folder) / "spool.db" if spool else None
    client = Client(f"file://{folder}/events", "app", spool=path, heartbeat=0.05)
    STORIES[story](client)


if __name__ == "__main__":
    main(*sys.argv[1:])
