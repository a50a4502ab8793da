"""Apache Kafka as a child process: one KRaft node on loopback, its data in a temporary folder.

`python -m tests.brokers.kafka` runs one in the foreground (`make kafka`); with `--check` it only makes sure that one
could run, and fetches what is missing.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from finalizer.embedded.child import Child, ChildFailed
from finalizer.embedded.readiness import is_free, wait_until_ready
from tests.brokers.jars import KAFKA_VERSION, KafkaUnavailable, java, kafka_jars
from tests.brokers.properties import Listener, Node, properties
from tests.ports import free_port

READY_LIMIT_SECONDS = 60.0
GRACE_SECONDS = 20.0
USUAL_PORT = 9092
ANOTHER_WAY = "Or, without Java: docker compose up kafka"
QUIET = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dlog4j2.level=WARN")
SMALL = ("-Xms256m", "-Xmx512m")
"""A heap for what tests do."""
AS_SHIPPED = (
    "-Xms1G",
    "-Xmx1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
)
"""As `bin/kafka-server-start.sh` starts a node. In a heap half as large, its collector takes as long as the node."""


class ApacheKafka:
    """One node that lives no longer than this process. Its address and its data outlive :meth:`kill`, not :meth:`stop`.

    >>> with ApacheKafka() as kafka:
    ...     kafka.kill()
    ...     kafka.start()

    ``listeners`` are doors beside the plain one, ``settings`` properties laid over the usual ones, ``scram`` users and
    their passwords; ``node`` is given by whoever makes several of one cluster; ``jvm`` is how Java is started. Raises
    ``KafkaUnavailable`` from :meth:`start` where Java or Maven is missing, or the node does not come up.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        listeners: Sequence[Listener] = (),
        settings: Mapping[str, str] | None = None,
        scram: Mapping[str, str] | None = None,
        node: Node | None = None,
        jvm: Sequence[str] = SMALL,
    ) -> None:
        self.node = node or Node(port or free_port(), free_port())
        self.listeners = listeners
        self._settings = settings
        self._scram = scram or {}
        self._jvm = jvm
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for ``bootstrap_servers``; the same for the whole life of this object."""
        return f"127.0.0.1:{self.node.port}"

    @property
    def alive(self) -> bool:
        """Whether the node's process runs."""
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int:
        """The process id of the Java process."""
        return self._running().pid

    def start(self) -> None:
        """Start the node, with the data it had if it was killed, and return when it answers (3 to 5 seconds)."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the node and do not wait: one of several answers only when most of them are there."""
        if self.alive:
            return
        command = [java(), *self._jvm, *QUIET, "-cp", f"{kafka_jars()}/*"]
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="span-finalizer-kafka-")
            self._write_properties(Path(self._folder.name))
            format_storage(command, self._properties, cluster=self.node.cluster, scram=self._scram)
        try:
            self._child = Child([*command, "kafka.Kafka", str(self._properties)], dict(os.environ), grace=GRACE_SECONDS)
        except ChildFailed as problem:
            raise KafkaUnavailable(f"Apache Kafka could not be started. {problem}") from problem

    def wait_until_ready(self) -> None:
        """Return when the node answers."""
        if not wait_until_ready(self.node.port, self._running(), limit_seconds=READY_LIMIT_SECONDS):
            last_words = self.tail()
            self.stop()
            raise KafkaUnavailable(f"Apache Kafka {KAFKA_VERSION} did not come up. {last_words}")

    def stop(self) -> None:
        """End the node in good order and drop its data; a second call does nothing."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def kill(self) -> None:
        """End the node as a power cut would; :meth:`start` brings it back with the data it had."""
        running = self._running()
        running.kill()
        running.stop()
        self._child = None

    def pause(self) -> None:
        """Freeze the node: connections stay open and nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        """Let a frozen node go on."""
        self._running().resume()

    def fill_disk(self) -> None:
        """Let no file of the node grow any more, as on a full disk: its next write fails, and Kafka ends itself."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (1, 1))

    def tail(self) -> str:
        """Return the last lines that the node wrote."""
        return self._running().tail()

    def _running(self) -> Child:
        if self._child is None:
            raise KafkaUnavailable("Apache Kafka is not running.")
        return self._child

    @property
    def _properties(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "server.properties"

    def _write_properties(self, folder: Path) -> None:
        text = properties(self.node, folder / "data", listeners=self.listeners, settings=self._settings)
        self._properties.write_text(text)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def format_storage(command: list[str], settings: Path, *, cluster: str, scram: Mapping[str, str]) -> None:
    """Prepare an empty data folder, which KRaft wants before a node's first start; with these users and passwords."""
    tool = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(settings)]
    for user, password in scram.items():
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            tool += ["--add-scram", f"{mechanism}=[name={user},password={password}]"]
    done = subprocess.run(tool, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KafkaUnavailable(f"Apache Kafka's storage tool failed. {(done.stderr or done.stdout).strip()[-1000:]}")


def run_in_foreground() -> int:
    """Run a node until Ctrl-C or SIGTERM, on the usual port if that is free."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ApacheKafka(USUAL_PORT if is_free(USUAL_PORT) else 0) as kafka:
        print(
            f"Apache Kafka {KAFKA_VERSION} is ready on {kafka.bootstrap}; Ctrl-C ends it and drops its data.",
            flush=True,
        )
        while not ended.wait(1.0):
            if not kafka.alive:
                raise KafkaUnavailable(f"Apache Kafka ended by itself. {kafka.tail()}")
    return 0


def main() -> int:
    """Run the command line; every problem is one sentence on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.brokers.kafka", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only make sure that Apache Kafka could run here")
    only_check = parser.parse_args().check
    try:
        if only_check:
            java()
            kafka_jars()
            return 0
        return run_in_foreground()
    except KafkaUnavailable as problem:
        print(f"NOT RUN, nothing was tested: {problem}" if only_check else f"{problem} {ANOTHER_WAY}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
