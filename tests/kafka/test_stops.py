"""SIGTERM while the connections of a worker die: a stop that was asked for ends with 0, whatever breaks meanwhile."""

import asyncio
import signal

from finalizer.codecs.record_batch import RecordBatch
from finalizer.shell.batches import send
from finalizer.shell.producer import STOP_SECONDS, Producer
from tests.brokers import Broker
from tests.brokers.proxy import Kind, Moment, Proxy
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of, load
from tests.contracts.stage import set_up, set_up_mixed

SPANS = 2000
MORE_THAN_A_SOCKET_HOLDS = 32 * 1024 * 1024


async def test_all_connections_break_during_a_stop(broker: Broker, proxy: Proxy) -> None:
    """Told to stop in the middle of a commit, it loses every connection and gets no other: exit 0, nothing lost."""
    stage = await set_up_mixed(broker)
    with stage.by(proxy.bootstrap).worker(terms=STEADY) as worker:
        await asyncio.to_thread(worker.start)
        sending = asyncio.ensure_future(load(stage, SPANS, seconds=2))
        await worker.reaches(300, "evidence_total")

        def stop_and_break() -> None:
            worker.signal(signal.SIGTERM)
            proxy.shut()

        await proxy.strike(Moment(Kind.END_TXN), stop_and_break)
        assert await asyncio.to_thread(worker.wait) == 0, worker.last_words
        assert "Traceback" not in worker.log, worker.last_words
        assert worker.log.count("worker.stopped") == 1
        await proxy.open()
        await asyncio.to_thread(worker.start)
        await sending
        found = await finals_of(stage, SPANS)
    completed_once(found, SPANS, broker=broker)
    assert all(len(closed) == 1 for closed in found.values())


async def test_a_producer_whose_node_reads_nothing_more_can_be_closed(broker: Broker, proxy: Proxy) -> None:
    """What was not sent is let go: its connection would wait until the node takes it, which may be never."""
    stage, thawed = await set_up(broker), asyncio.Event()
    producer = Producer(bootstrap_servers=proxy.bootstrap, transactional_id=stage.name)
    await producer.start()
    await producer.partitions_for(stage.topic)
    await producer.begin_transaction()
    held = asyncio.ensure_future(proxy.strike(Moment(Kind.METADATA), thawed.wait))
    await asyncio.sleep(0)
    producer.client.force_metadata_update()
    batch = RecordBatch(transactional=True, now=0)
    batch.append(b"key", bytes(MORE_THAN_A_SOCKET_HOLDS), (), 0)
    await send(producer, [(stage.topic, 0, batch)])
    async with asyncio.timeout(10 * STOP_SECONDS):
        await producer.stop()
    thawed.set()
    await held
