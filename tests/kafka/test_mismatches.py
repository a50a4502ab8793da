"""State that does not fit, on this folder's broker."""

from tests.brokers import Broker
from tests.contracts.mismatches import Mismatches, ran
from tests.contracts.startup import ended
from tests.traffic import create_topics, delete_topics


class TestMismatches(Mismatches):
    """See the contract."""

    async def test_another_delivery(self, broker: Broker) -> None:
        """The state was made exactly once, the worker would run otherwise: exit 5."""
        stage = await ran(broker)
        with stage.worker(flags={"--delivery": "effectively_once"}) as worker:
            assert "say so with --delivery" in ended(worker, 5)

    async def test_a_re_created_input(self, broker: Broker) -> None:
        """The input ends before what was read of it: exit 5."""
        stage = await ran(broker)
        await delete_topics(broker.bootstrap, stage.topic)
        await create_topics(broker.bootstrap, stage.topic)
        with stage.worker() as worker:
            assert "re-created or mirrored" in ended(worker, 5)
