"""`finalizer send` against a broker: what it sends, what it refuses, and how it ends when something gets in its way."""

import asyncio
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import murmur2

from finalizer.embedded import EmbeddedBroker
from tests.cli.runs import run, start
from tests.waiting import LIMIT_SECONDS

PARTITIONS = 4


def line(number: int, **fields: str) -> bytes:
    """An event of the span of this number, as a line."""
    more = "".join(f',"{name}":"{value}"' for name, value in fields.items())
    return (
        b'{"type":"start","name":"upload","time_unix_nano":"1747648800000000000","span_id":"00f067aa0ba902b7",'
        b'"trace_id":"%032X"%s}\n' % (number, more.encode())
    )


def create(bootstrap: str, topic: str) -> None:
    """Create a topic."""

    async def creating() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        await admin.close()

    asyncio.run(creating())


def written(bootstrap: str, topic: str, count: int) -> list[Any]:
    """The first ``count`` records of a topic."""

    async def reading() -> list[Any]:
        found: list[Any] = []
        async with asyncio.timeout(LIMIT_SECONDS), AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
        return found

    return asyncio.run(reading())


@pytest.fixture
def topic(embedded_broker: str) -> str:
    """A topic of this test's own."""
    name = f"events-{uuid.uuid4().hex[:8]}"
    create(embedded_broker, name)
    return name


def test_a_field_that_no_event_has_is_told_once(embedded_broker: str, topic: str, tmp_path: Path) -> None:
    """The events are sent all the same; whoever misspelt a setting sees it, with the name that was meant."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(line(number, heartbeat_intervall_ms="5") for number in range(1, 4)))
    ran = run("send", str(file), "--broker", embedded_broker, "--topic", topic)
    assert (ran.code, ran.out) == (0, f"3 events were acknowledged by {topic}.\n")
    assert ran.err == (
        'line 1: "heartbeat_intervall_ms" is no field of an event and is ignored. Did you mean heartbeat_interval_ms?\n'
    )


def test_events_arrive_with_their_traces_key_in_its_partition(embedded_broker: str, topic: str, tmp_path: Path) -> None:
    """Key = trace id in lower hex, partition = murmur2 of it, value = the line: what a worker expects of a producer."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(map(line, range(1, 101))))
    ran = run("send", str(file), "--broker", embedded_broker, "--topic", topic)
    assert (ran.code, ran.out, ran.err) == (0, f"100 events were acknowledged by {topic}.\n", "")
    records = written(embedded_broker, topic, 100)
    assert {record.value for record in records} == {line(number).strip() for number in range(1, 101)}
    for record in records:
        assert record.key == record.value.decode().split('"trace_id":"')[1][:32].lower().encode()
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS


def test_the_topic_is_the_first_native_input_of_the_configuration(
    embedded_broker: str, topic: str, tmp_path: Path
) -> None:
    """And where that input has a kind, records need no type, as on that topic."""
    (tmp_path / "finalizer.yaml").write_text(f"inputs:\n  - {{topic: {topic}, kind: heartbeat}}\n")
    untyped = line(1).replace(b'"type":"start",', b"")
    ran = run("send", "-", "--broker", embedded_broker, stdin=untyped, folder=tmp_path)
    assert (ran.code, ran.out) == (0, f"1 event was acknowledged by {topic}.\n")


def test_heartbeats_of_processes_go_to_their_own_topic(embedded_broker: str, topic: str, tmp_path: Path) -> None:
    """Key = instance id: whatever a client's file holds can be sent. One that lacks what it needs is told as any other
    line is."""
    create(embedded_broker, f"{topic}.instances")
    (tmp_path / "finalizer.yaml").write_text(
        f"inputs:\n  - {{topic: {topic}}}\ninstances: {{topic: {topic}.instances}}\n"
    )
    beat = (
        b'{"type":"instance","instance_id":"pod-1","boot_id":"a","time_unix_nano":"1747648800000000000",'
        b'"heartbeat_interval_ms":30000}\n'
    )
    lines = line(1) + beat + beat.replace(b'"boot_id":"a",', b"")
    ran = run("send", "--broker", embedded_broker, stdin=lines, folder=tmp_path)
    both = f"1 event was acknowledged by {topic}, 1 event was acknowledged by {topic}.instances"
    assert (ran.code, ran.out) == (1, f"{both}, 1 refused.\n")
    assert ran.sentence == "line 3: missing_field: boot_id is missing"
    (record,) = written(embedded_broker, f"{topic}.instances", 1)
    assert (record.key, record.value) == (b"pod-1", beat.strip())
    ran = run("send", "--broker", embedded_broker, "--topic", f"{topic}.instances", stdin=beat, folder=tmp_path)
    assert (ran.code, ran.out) == (0, f"1 event was acknowledged by {topic}.instances.\n")


def test_a_line_that_is_no_event_is_told_and_passed_by(embedded_broker: str, topic: str) -> None:
    """The others are sent; blank lines are nothing; the exit code tells."""
    lines = line(1) + b"oops\n\n" + line(2) + b'{"type":"end"}\n' + line(3).strip()
    ran = run("send", "--broker", embedded_broker, "--topic", topic, stdin=lines)
    assert (ran.code, ran.out) == (1, f"3 events were acknowledged by {topic}, 2 refused.\n")
    assert [told.partition(":")[0] for told in ran.sentence.splitlines()] == ["line 2", "line 5"]


def test_raw_lines_are_sent_byte_for_byte(embedded_broker: str, topic: str) -> None:
    """Also what no worker could use; only the line feed is not part of a line."""
    lines = b"\x00\xff \r\n\n " + line(1)
    ran = run("send", "--raw", "--broker", embedded_broker, "--topic", topic, stdin=lines)
    assert (ran.code, ran.out) == (0, f"3 events were acknowledged by {topic}.\n")
    records = written(embedded_broker, topic, 3)
    assert {(record.key, record.value) for record in records} == {
        (None, b"\x00\xff \r"),
        (None, b""),
        (b"%032x" % 1, b" " + line(1).strip()),
    }


def test_a_missing_topic_is_one_sentence_and_is_not_created(embedded_broker: str) -> None:
    """A typing error must not make a topic of its own, which nobody reads."""
    for _ in range(2):
        ran = run("send", "--broker", embedded_broker, "--topic", "tpyo", stdin=line(1))
        assert ran.code == 1
        assert f"There is no topic tpyo at {embedded_broker}" in ran.sentence


def test_an_event_too_large_for_a_record_is_told(embedded_broker: str, topic: str) -> None:
    """It is a bad line like any other."""
    lines = line(1) + line(2, session_id="x" * (17 * 1024 * 1024)) + line(3)
    ran = run("send", "--broker", embedded_broker, "--topic", topic, stdin=lines)
    assert (ran.code, ran.out) == (1, f"2 events were acknowledged by {topic}, 1 refused.\n")
    assert ran.sentence == "line 2: longer than 16 MiB"


def test_ctrl_c_says_what_was_acknowledged(embedded_broker: str, topic: str) -> None:
    """Whoever interrupts knows how far it came; 130 as shells count."""
    with start("send", "--broker", embedded_broker, "--topic", topic) as sender:
        assert sender.stdin is not None
        assert sender.stderr is not None
        sender.stdin.write(line(1) + line(2))
        sender.stdin.flush()
        assert len(written(embedded_broker, topic, 2)) == 2
        sender.send_signal(signal.SIGINT)
        assert sender.wait(timeout=LIMIT_SECONDS) == 130
        assert sender.stderr.read() == f"Interrupted: 2 events were acknowledged by {topic}.\n".encode()


def test_a_broker_that_goes_away_is_one_sentence() -> None:
    """Exit code 3 within seconds, and how many events it had acknowledged."""
    with EmbeddedBroker() as broker:
        create(broker.bootstrap, "spans.events")
        with start("send", "--broker", broker.bootstrap) as sender:
            assert sender.stdin is not None
            assert sender.stderr is not None
            sender.stdin.write(line(1))
            sender.stdin.flush()
            assert written(broker.bootstrap, "spans.events", 1)
            address = broker.bootstrap
            broker.stop()
            sender.stdin.write(line(2))
            sender.stdin.flush()
            assert sender.wait(timeout=LIMIT_SECONDS) == 3
            told = sender.stderr.read().decode()
    assert told.startswith(f"finalizer: No Kafka broker answers at {address}")
    assert told.endswith("1 event was acknowledged by spans.events, the rest was not sent.\n")
    assert told.count("\n") == 1


def test_a_terminal_without_a_file_is_wrong_usage() -> None:
    """Nobody types JSON; waiting for it would look like a hang."""
    ours, theirs = os.openpty()
    try:
        with start("send", stdin=theirs) as sender:
            assert sender.wait(timeout=LIMIT_SECONDS) == 2
            assert sender.stderr is not None
            assert b"Standard input is a terminal: name a FILE, or pipe events in." in sender.stderr.read()
    finally:
        os.close(ours)
        os.close(theirs)
