"""A running collector: a stock one, as a child process with a configuration of the test's own."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import yaml

from finalizer.embedded.child import Child
from finalizer.embedded.readiness import is_free
from tests.collector.binary import otelcol
from tests.ports import free_port

READY_LIMIT_SECONDS = 30.0
GRACE_SECONDS = 15.0
QUIET = {"telemetry": {"metrics": {"level": "none"}}}


class Collector:
    """A collector that takes OTLP over HTTP on a free loopback port, if its configuration names that receiver.

    `config` is what stands in its file, without `service.telemetry`; receiver `otlp` gets its address here.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._port = free_port()
        self._config = {**config, "service": {**config["service"], **QUIET}}
        self._listens = "otlp" in config["receivers"]
        if self._listens:
            protocols = {"http": {"endpoint": f"127.0.0.1:{self._port}"}}
            self._config["receivers"] = {**config["receivers"], "otlp": {"protocols": protocols}}
        self._folder = tempfile.TemporaryDirectory(prefix="span-finalizer-otelcol-")
        self._child: Child | None = None

    def send(self, path: str, body: bytes) -> None:
        """Post OTLP in protobuf to a path (`/v1/traces`, `/v1/logs`), as an SDK's exporter does; it must be taken."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"Content-Type": "application/x-protobuf"})
            assert connection.getresponse().status == 200

    def tail(self) -> str:
        """The last lines that it wrote."""
        assert self._child is not None
        return self._child.tail()

    def __enter__(self) -> Self:
        file = Path(self._folder.name) / "config.yaml"
        file.write_text(yaml.safe_dump(self._config))
        self._child = Child([str(otelcol()), "--config", str(file)], dict(os.environ), grace=GRACE_SECONDS)
        give_up = time.monotonic() + READY_LIMIT_SECONDS
        while self._listens and is_free(self._port):
            assert self._child.alive, self.tail()
            assert time.monotonic() < give_up, self.tail()
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.stop()
        self._folder.cleanup()


def complaints(config: Path) -> str:
    """What a collector says against a configuration file; nothing if it would start with it."""
    command = [str(otelcol()), "validate", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""
