"""What is wrong at the start is told in a sentence, within seconds, with its exit code: never a trace or a hang."""

from __future__ import annotations

import asyncio
import socket

from tests.brokers import Broker
from tests.contracts.stage import set_up
from tests.ports import free_port
from tests.worker import Worker


class Startup:
    """Faults that a worker meets before it has read anything."""

    async def test_no_broker(self) -> None:
        """An address at which nobody answers: exit 3, since the broker may only be late."""
        with Worker(f"127.0.0.1:{free_port()}", "nobody") as worker:
            assert "no Kafka broker answers" in ended(worker, 3)

    async def test_a_broker_that_accepts_and_says_nothing(self) -> None:
        """An address that takes connections and never answers: exit 3, not a hang."""
        with socket.create_server(("127.0.0.1", 0)) as deaf, Worker(place(deaf), "deaf") as worker:
            assert "no Kafka broker answers" in ended(worker, 3)

    async def test_sigterm_before_the_broker_has_answered(self) -> None:
        """SIGTERM while it looks at a broker that never answers ends the worker at once, exit 0."""
        with socket.create_server(("127.0.0.1", 0)) as deaf, Worker(place(deaf), "deaf") as worker:
            worker.start(ready=False)
            connection, _ = await asyncio.to_thread(deaf.accept)
            with connection:
                assert await asyncio.to_thread(worker.terminate) == 0
            assert "Traceback" not in worker.log, worker.log

    async def test_a_bad_configuration(self, broker: Broker) -> None:
        """A key that does not exist is told with the nearest one: exit 1."""
        with Worker(broker.bootstrap, "bad", config="termz: {silence: 1h}\n") as worker:
            assert "terms" in ended(worker, 1)

    async def test_a_port_in_use(self, broker: Broker) -> None:
        """The web port belongs to somebody else: exit 1, and the sentence names it."""
        stage = await set_up(broker)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            with stage.worker(flags={"--web-port": port}) as worker:
                said = ended(worker, 1)
        assert port in said
        assert "--web-port" in said

    async def test_inputs_of_unequal_size(self, broker: Broker) -> None:
        """Inputs whose numbers of partitions differ cannot be joined: exit 1."""
        stage = await set_up(broker)
        other = await set_up(broker, partitions=3)
        both = stage._replace(inputs=(stage.topic, other.topic))
        with both.worker() as worker:
            assert "equal numbers of partitions" in ended(worker, 1)


def place(server: socket.socket) -> str:
    """The host:port of a listening socket."""
    return "{}:{}".format(*server.getsockname())


def ended(worker: Worker, code: int) -> str:
    """Start a worker that cannot run; return what it said once it has ended with this exit code."""
    worker.start(ready=False)
    assert worker.wait() == code, worker.last_words
    assert "Traceback" not in worker.log, worker.log
    assert "Unclosed" not in worker.log, worker.log
    return worker.log
