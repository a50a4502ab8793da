"""Groups of workers, on this folder's broker."""

import asyncio
import subprocess

import pytest
from aiokafka import TopicPartition

from tests.brokers import Broker
from tests.brokers.jars import java, kafka_jars
from tests.contracts.crashes import STEADY
from tests.contracts.groups import Groups, commits
from tests.contracts.load import completed_once
from tests.contracts.stage import has_partitions, set_up
from tests.traffic import by_span, event, move_offsets, send

SESSION = "180"
"""Seconds, several times as many as any of these tests waits."""


class TestGroups(Groups):
    """See the contract."""

    async def test_a_killed_static_member_is_back_at_once(self, broker: Broker) -> None:
        """With `--instance-id` a killed worker reads new records long before its session of minutes is over."""
        stage = await set_up(broker)
        flags = {"--instance-id": "one", "--session-timeout": SESSION}
        with stage.worker(terms=STEADY, flags=flags).start() as worker:
            await send(broker.bootstrap, stage.topic, [event("start", number) for number in range(20)])
            await worker.reaches(20, "evidence_total")
            worker.kill()
            await send(broker.bootstrap, stage.topic, [event("end", number) for number in range(20)])
            worker.start(ready=False)
            async with stage.reader("finalized") as finals:
                await finals.until(20)
                found = by_span(await finals.quiet(1))
        completed_once(found, 20, broker=broker)

    async def test_a_static_member_that_leaves(self, broker: Broker) -> None:
        """With `--leave` SIGTERM gives the partitions up: another worker has them long before the session is over."""
        stage = await set_up(broker)
        first = stage.worker(terms=STEADY, flags={"--instance-id": "1", "--session-timeout": SESSION, "--leave": ""})
        second = stage.worker(terms=STEADY, flags={"--instance-id": "2", "--session-timeout": SESSION})
        with first.start(), second:
            assert first.terminate() == 0
            second.start(ready=False)
            await has_partitions(second, 4)

    async def test_deleted_offsets_are_not_missed(self, broker: Broker) -> None:
        """The group's offsets are gone: reading goes on after the state; each span once."""
        stage = await set_up(broker)
        worker = stage.worker(terms=STEADY)
        with worker.start():
            await send(broker.bootstrap, stage.topic, [event(kind, n) for n in range(40) for kind in ("start", "end")])
            await worker.reaches(80, "evidence_total")
            assert worker.terminate() == 0
            await asyncio.to_thread(delete_group, broker.bootstrap, stage.name)
            worker.start()
            await send(
                broker.bootstrap, stage.topic, [event(kind, n) for n in range(40, 60) for kind in ("start", "end")]
            )
            await commits(stage, 120)
            async with stage.reader("finalized") as finals:
                await finals.until(60)
                found = by_span(await finals.quiet(1))
        completed_once(found, 60, broker=broker)

    @pytest.mark.parametrize("moved", ["back", "forward"])
    async def test_moved_offsets_are_not_believed(self, broker: Broker, moved: str) -> None:
        """The group's offsets were set back or beyond what was read: the state knows better; each span once."""
        stage = await set_up(broker)
        worker = stage.worker(terms=STEADY)
        with worker.start():
            await send(broker.bootstrap, stage.topic, [event(kind, n) for n in range(40) for kind in ("start", "end")])
            await worker.reaches(80, "evidence_total")
            assert worker.terminate() == 0
            places = [TopicPartition(stage.topic, number) for number in range(4)]
            await send(broker.bootstrap, stage.topic, [event("start", n) for n in range(40, 60)])
            to = 0 if moved == "back" else 25
            await move_offsets(broker.bootstrap, stage.name, dict.fromkeys(places, to))
            worker.start()
            await send(broker.bootstrap, stage.topic, [event("end", n) for n in range(40, 60)])
            async with stage.reader("finalized") as finals:
                await finals.until(60)
                found = by_span(await finals.quiet(1))
            await commits(stage, 120)
        completed_once(found, 60, broker=broker)
        assert all(len(closed) == 1 for closed in found.values())


def delete_group(bootstrap: str, group: str) -> None:
    """Delete a group that has no members, with its offsets, as an operator would."""
    tool = [java(), "-cp", f"{kafka_jars()}/*", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"]
    what = ["--bootstrap-server", bootstrap, "--delete", "--group", group]
    done = subprocess.run([*tool, *what], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or done.stdout
