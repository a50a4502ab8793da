"""State, topics and configuration that do not fit: the worker stops with one sentence and closes nothing."""

from __future__ import annotations

from tests.brokers import Broker
from tests.contracts.stage import Stage, set_up
from tests.contracts.startup import ended
from tests.traffic import committed, create_topics, delete_topics, event, send


class Mismatches:
    """A worker has run and committed; then something is changed under its state."""

    async def test_other_inputs(self, broker: Broker) -> None:
        """The configuration names other inputs than the state was made from: exit 5."""
        stage = await ran(broker)
        other = await set_up(broker)
        changed = stage._replace(inputs=(other.topic,))
        with changed.worker() as worker:
            assert "inputs cannot change" in ended(worker, 5)

    async def test_a_lost_changelog(self, broker: Broker) -> None:
        """The changelog is empty though the group has read: exit 5, the state is lost and nothing is presumed."""
        stage = await ran(broker)
        await delete_topics(broker.bootstrap, stage.changelog)
        with stage.worker() as worker:
            assert "the state is lost" in ended(worker, 5)

    async def test_more_partitions(self, broker: Broker) -> None:
        """The input has other partitions than the state was made with: exit 5, told before anything is read."""
        stage = await ran(broker)
        await delete_topics(broker.bootstrap, stage.topic)
        await create_topics(broker.bootstrap, stage.topic, partitions=6)
        with stage.worker() as worker:
            assert "partitions cannot be changed" in ended(worker, 5)


async def ran(broker: Broker) -> Stage:
    """A stage on which a worker has taken in some spans and stopped."""
    stage = await set_up(broker)
    with stage.worker().start() as worker:
        events = [event(kind, number) for number in range(40) for kind in ("start", "end")]
        await send(broker.bootstrap, stage.topic, events)
        async with stage.reader("finalized") as finals:
            await finals.until(40)
        assert worker.terminate() == 0
    assert await committed(broker.bootstrap, stage.name, stage.topic) == 80
    return stage
