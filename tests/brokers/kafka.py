"""Apache Kafka as a child process: one KRaft node on loopback, its data in a temporary folder.

`python -m tests.brokers.kafka` runs one in the foreground (`make kafka`); with `--check` it only makes sure that one
could run, and fetches what is missing.
"""

import argparse
import base64
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from finalizer.embedded.child import Child, ChildFailed
from finalizer.embedded.readiness import free_port, is_free, wait_until_ready
from tests.brokers.jars import KAFKA_VERSION, KafkaUnavailable, java, kafka_jars

READY_LIMIT_SECONDS = 60.0
GRACE_SECONDS = 20.0
USUAL_PORT = 9092
JVM = ["-Xms256m", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dlog4j2.level=WARN"]
# What differs from Kafka's defaults does so to be small and quick, save LogAppendTime, which the worker recommends.
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions=4
log.message.timestamp.type=LogAppendTime
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.backoff.ms=1000
group.min.session.timeout.ms=1000
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=1
"""


class ApacheKafka:
    """One node that lives no longer than this process. Its address and its data outlive :meth:`kill`, not :meth:`stop`.

    >>> with ApacheKafka() as kafka:
    ...     kafka.kill()
    ...     kafka.start()

    Raises ``KafkaUnavailable`` from :meth:`start` where Java or Maven is missing, or the node does not come up.
    """

    def __init__(self, port: int = 0) -> None:
        self._port = port or free_port()
        self._controller_port = free_port()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for ``bootstrap_servers``; the same for the whole life of this object."""
        return f"127.0.0.1:{self._port}"

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
        if self.alive:
            return
        command = [java(), *JVM, "-cp", f"{kafka_jars()}/*"]
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="span-finalizer-kafka-")
            format_storage(command, self._write_properties(Path(self._folder.name)))
        settings = Path(self._folder.name) / "server.properties"
        try:
            self._child = Child([*command, "kafka.Kafka", str(settings)], dict(os.environ), grace=GRACE_SECONDS)
        except ChildFailed as problem:
            raise KafkaUnavailable(f"Apache Kafka could not be started. {problem}") from problem
        if not wait_until_ready(self._port, self._child, limit_seconds=READY_LIMIT_SECONDS):
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

    def tail(self) -> str:
        """Return the last lines that the node wrote."""
        return self._running().tail()

    def _running(self) -> Child:
        if self._child is None:
            raise KafkaUnavailable("Apache Kafka is not running.")
        return self._child

    def _write_properties(self, folder: Path) -> Path:
        settings = folder / "server.properties"
        text = PROPERTIES.format(port=self._port, controller_port=self._controller_port, data=folder / "data")
        settings.write_text(text)
        return settings

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def format_storage(command: list[str], settings: Path) -> None:
    """Prepare an empty data folder, which KRaft wants before a node's first start."""
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    tool = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(settings)]
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
    try:
        if parser.parse_args().check:
            java()
            kafka_jars()
            return 0
        return run_in_foreground()
    except KafkaUnavailable as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
