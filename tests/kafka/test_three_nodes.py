"""Three nodes, three copies, two in sync: a node may die, and the worker goes on by itself."""

import asyncio
import random
from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from tests.brokers import Broker
from tests.brokers.cluster import KafkaCluster
from tests.brokers.kafka import ApacheKafka
from tests.brokers.proxy import Kind, Moment, Proxy
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of, flow
from tests.contracts.stage import set_up
from tests.traffic import admin

SEED = 20_260_713


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """Three nodes of this module's own. Each test leaves at least two of them running, which is enough."""
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture
def broker(cluster: KafkaCluster) -> Broker:
    """The three as the contracts know them."""
    return Broker(cluster.bootstrap, has_transactions=True, honours_log_append_time=True, copies=3)


async def leader(cluster: KafkaCluster, topic: str) -> ApacheKafka:
    """The node that leads the first partition of a topic."""
    async with admin(cluster.bootstrap) as client:
        client._client.cluster.update_metadata(await client._get_cluster_metadata())
        number = client._client.cluster.leader_for_partition(TopicPartition(topic, 0))
    (found,) = [node for node in cluster.nodes if node.node.number == number]
    return found


async def led_by(cluster: KafkaCluster, first: int, topic: str, *, compacted: bool = False) -> None:
    """Create a topic of four partitions that one node leads."""
    numbers = [node.node.number for node in cluster.nodes]
    copies = numbers[first:] + numbers[:first]
    config = {"message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact" if compacted else "delete"}
    made = NewTopic(topic, -1, -1, replica_assignments=dict.fromkeys(range(4), copies), topic_configs=config)
    async with admin(cluster.bootstrap) as client:
        await client.create_topics([made])


async def test_a_kill_between_the_two_sends(cluster: KafkaCluster, broker: Broker) -> None:
    """Finals and state lie on different nodes: killed when one of them has its part and the other has not, a worker
    leaves nothing of the group, and the next one writes it once."""
    stage, choice, enough = await set_up(broker), random.Random(SEED), asyncio.Event()
    finals, state = stage.output("finalized"), stage.changelog
    await led_by(cluster, 0, finals)
    await led_by(cluster, 1, state, compacted=True)
    moments = [
        Moment(Kind.PRODUCE, about=finals, without=state, answer=True),
        Moment(Kind.PRODUCE, about=state, without=finals, answer=True),
        Moment(Kind.PRODUCE, about=state, without=finals),
        Moment(Kind.PRODUCE, about=finals, without=state),
    ]
    async with Proxy(cluster.doors) as proxy:
        with stage.by(proxy.bootstrap).worker(terms=STEADY, flags={"--instance-id": "one"}) as worker:
            sending = asyncio.ensure_future(flow(stage, enough))
            for moment in moments:
                await asyncio.to_thread(worker.start)
                await proxy.strike(moment, worker.kill, skip=choice.randint(0, 3))
            await asyncio.to_thread(worker.start)
            enough.set()
            spans = await sending
            found = await finals_of(stage, spans)
    completed_once(found, spans, broker=broker)


async def test_a_leader_that_is_killed_under_load(cluster: KafkaCluster, broker: Broker) -> None:
    """The node that leads an input is killed: the worker goes on with the other two, and each span has one final."""
    stage, enough = await set_up(broker), asyncio.Event()
    with stage.worker(terms=STEADY).start() as worker:
        sending = asyncio.ensure_future(flow(stage, enough))
        await worker.reaches(1000, "evidence_total")
        (await leader(cluster, stage.topic)).kill()
        await worker.reaches(worker.metric("evidence_total") + 1000, "evidence_total")
        enough.set()
        spans = await sending
        found = await finals_of(stage, spans)
        assert worker.exit_code is None
        assert "Traceback" not in worker.log, worker.log
    completed_once(found, spans, broker=broker)
