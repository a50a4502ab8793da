"""Things that happen to topics while a worker runs, or between two runs: it says what it found, and guesses nothing."""

import asyncio
import signal

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete

from finalizer.codecs.state import VERSION, WATERMARK_KEY
from finalizer.shell.frames import FETCH_MAX_WAIT_MS
from tests.brokers import Broker
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of
from tests.contracts.mismatches import ran
from tests.contracts.stage import Stage, set_up
from tests.contracts.startup import ended
from tests.traffic import admin, event, send
from tests.worker import Worker

SPANS = 40


async def reported(stage: Stage, spans: range) -> None:
    """Send the start and the end of these spans."""
    await send(stage.broker.bootstrap, stage.topic, [event(kind, n) for n in spans for kind in ("start", "end")])


async def ends_by_itself(worker: Worker, code: int, *, because: str) -> None:
    """The worker ends with this exit code, and says why."""
    assert await asyncio.to_thread(worker.wait) == code, worker.log
    assert because in worker.log, worker.log
    assert "Traceback" not in worker.log, worker.log


async def re_create(broker: Broker, topic: str) -> None:
    """Delete a topic and make it again, unless a client that asked for it was faster."""
    async with admin(broker.bootstrap) as client:
        await client.delete_topics([topic])
        await client.create_topics([NewTopic(topic, 4, 1)])


async def test_an_input_that_is_re_created_while_it_is_read(broker: Broker) -> None:
    """The input is deleted and made again under a running worker: exit 5, and no record is passed by in silence."""
    stage = await set_up(broker)
    with stage.worker(terms=STEADY).start() as worker:
        await reported(stage, range(SPANS))
        await worker.reaches(2 * SPANS, "evidence_total")
        await re_create(broker, stage.topic)
        await ends_by_itself(
            worker, 5, because="re-created or mirrored"
        )  # found while reading, or when taken over anew
        assert "re-created or mirrored" in ended(worker, 5)


async def test_partitions_that_are_added_while_it_is_read(broker: Broker) -> None:
    """Partitions are added to the input under a running worker: exit 5 as soon as it is noticed."""
    stage = await set_up(broker)
    with stage.worker(terms=STEADY).start() as worker:
        await reported(stage, range(SPANS))
        await worker.reaches(2 * SPANS, "evidence_total")
        async with admin(broker.bootstrap) as client:
            await client.create_partitions({stage.topic: NewPartitions(6)})
        await ends_by_itself(worker, 5, because="has more partitions than the 4")
        assert "partitions cannot be changed" in ended(worker, 5)


async def test_a_changelog_that_is_deleted_while_it_is_written(broker: Broker) -> None:
    """The changelog is deleted under a running worker: exit 5, and nothing is written that a restore would take for
    the whole state."""
    stage = await set_up(broker)
    with stage.worker(terms=STEADY).start() as worker:
        await send(broker.bootstrap, stage.topic, [event("start", n) for n in range(SPANS)])
        await worker.reaches(SPANS, "evidence_total")
        await re_create(broker, stage.changelog)
        await send(broker.bootstrap, stage.topic, [event("end", n) for n in range(SPANS)])
        await ends_by_itself(worker, 5, because="was re-created while it was written")
        assert "the state is lost" in ended(worker, 5)
    async with stage.reader("finalized") as finals:
        assert not await finals.quiet(1)


@pytest.mark.parametrize(("running", "rekeyed"), [(True, False), (False, False), (False, True)])
async def test_retention_that_ate_unread_records(broker: Broker, *, running: bool, rekeyed: bool) -> None:
    """Records are deleted before they were read, or re-keyed: the loss is counted and told, and reading goes on.

    The final of a span that was open then says it, and no other.
    """
    stage, across = await set_up(broker, partitions=1, rekeyed=rekeyed), 900
    with stage.worker(terms=STEADY, flags={"--session-timeout": "12", "--instance-id": "1"}).start() as worker:
        await send(broker.bootstrap, stage.topic, [event("start", across)])
        await reported(stage, range(SPANS))
        await finals_of(stage, SPANS, quiet=0.2)
        # Where a source is read on is what the group has committed: every few seconds, and as the worker leaves.
        worker.signal(signal.SIGSTOP if running else signal.SIGTERM if rekeyed else signal.SIGKILL)
        await asyncio.sleep(2 * FETCH_MAX_WAIT_MS / 1000)  # what it had asked for is answered
        await reported(stage, range(SPANS, SPANS + 10))
        async with admin(broker.bootstrap) as client:
            await client.delete_records({TopicPartition(stage.topic, 0): RecordsToDelete(before_offset=-1)})
        if running:
            worker.signal(signal.SIGCONT)
        else:
            worker.wait()
            worker.start()
        await reported(stage, range(SPANS + 10, SPANS + 20))
        await send(broker.bootstrap, stage.topic, [event("end", across)])
        found = await finals_of(stage, SPANS + 11)
        assert worker.metric("input_gap_records_total", input=stage.topic) == 20
        assert "retention deleted records that were never read" in worker.log
        assert "Traceback" not in worker.log, worker.log
    assert set(found) == {*range(SPANS), *range(SPANS + 10, SPANS + 20), across}
    marked = [number for number, (one,) in found.items() if "span_finalizer.evidence_gap" in one.attributes]
    assert marked == [across]


async def test_inputs_that_change_in_a_rolling_deploy(broker: Broker) -> None:
    """A worker with other inputs joins the running group: it ends with exit 5, and the others go on, nothing lost."""
    stage, other = await set_up(broker), await set_up(broker)
    changed = stage._replace(inputs=(stage.topic, other.topic))
    with stage.worker(terms=STEADY).start() as worker, changed.worker(terms=STEADY) as newcomer:
        await reported(stage, range(SPANS))
        await worker.reaches(2 * SPANS, "evidence_total")
        assert "inputs cannot change" in await asyncio.to_thread(ended, newcomer, 5)
        await reported(stage, range(SPANS, 2 * SPANS))
        found = await finals_of(stage, 2 * SPANS)
        assert worker.exit_code is None
    completed_once(found, 2 * SPANS, broker=broker)


async def test_a_changelog_of_a_newer_release(broker: Broker) -> None:
    """The state was written by a release after this one: exit 5, told which record, and what to deploy."""
    stage = await ran(broker)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await producer.send_and_wait(stage.changelog, key=WATERMARK_KEY, value=bytes([VERSION + 1, 0]), partition=0)
    with stage.worker() as worker:
        said = ended(worker, 5)
    assert "deploy a release that reads it" in said
