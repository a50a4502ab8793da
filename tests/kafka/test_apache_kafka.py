"""The broker that these tests stand on is what they take it for."""

import asyncio
import subprocess
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from finalizer.embedded.readiness import answers
from tests.brokers import Broker
from tests.brokers.kafka import ApacheKafka
from tests.waiting import until

LIMIT_SECONDS = 30.0
LONG_AGO_MS = 1_747_648_800_000
OWNER = """
import sys
from tests.brokers.kafka import ApacheKafka

kafka = ApacheKafka()
kafka.start()
print(kafka.bootstrap, flush=True)
sys.stdin.read()
"""


async def values(bootstrap: str, topic: str, *, count: int) -> list[bytes]:
    """Read the first values of partition 0, as a `read_committed` reader sees them."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    async with asyncio.timeout(LIMIT_SECONDS), consumer:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await consumer.getone()).value for _ in range(count)]


async def test_records_carry_the_brokers_time(broker: Broker) -> None:
    """LogAppendTime is the default of this node: a produce answer tells the broker's clock."""
    async with asyncio.timeout(LIMIT_SECONDS), AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        answer = await producer.send_and_wait("kafka.time", b"v", partition=0, timestamp_ms=LONG_AGO_MS)
    assert answer.timestamp_type == 1
    assert answer.timestamp > LONG_AGO_MS


async def test_an_aborted_transaction_is_not_seen(broker: Broker) -> None:
    """A reader of committed records sees what was committed, and nothing of what was not."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id="kafka.transactions")
    async with asyncio.timeout(LIMIT_SECONDS), producer:
        await producer.begin_transaction()
        await producer.send_and_wait("kafka.transactions", b"aborted", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait("kafka.transactions", b"committed", partition=0)
    assert await values(broker.bootstrap, "kafka.transactions", count=1) == [b"committed"]


async def test_a_session_of_one_second_is_accepted(broker: Broker) -> None:
    """The node's lowest session timeout is one second, so tests need not wait for the usual six."""
    consumer = AIOKafkaConsumer(
        "kafka.sessions",
        bootstrap_servers=broker.bootstrap,
        group_id="kafka.sessions",
        session_timeout_ms=1000,
        heartbeat_interval_ms=300,
    )
    async with asyncio.timeout(LIMIT_SECONDS), consumer:
        assert consumer.assignment()


async def test_a_node_that_is_killed_or_paused_comes_back_with_its_records() -> None:
    """`kill` and `start` are a power cut and the return of power: the same address, the same records. `pause` freezes
    the node with its connections open; `resume` lets it go on where it was."""
    with ApacheKafka() as kafka:
        bootstrap, port = kafka.bootstrap, kafka.node.port
        async with asyncio.timeout(LIMIT_SECONDS), AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            await producer.send_and_wait("kafka.killed", b"before", partition=0)
        kafka.pause()
        assert not answers(port)
        kafka.resume()
        until(lambda: answers(port), limit_seconds=LIMIT_SECONDS)
        kafka.kill()
        assert not kafka.alive
        kafka.start()
        assert kafka.bootstrap == bootstrap
        assert await values(bootstrap, "kafka.killed", count=1) == [b"before"]


def test_it_ends_with_its_owner() -> None:
    """However the test run ends, no Java process stays behind."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        port = int(owner.stdout.readline().rpartition(b":")[2])
        assert answers(port)
        owner.kill()
        owner.wait(timeout=LIMIT_SECONDS)
        until(lambda: not answers(port), limit_seconds=LIMIT_SECONDS)
