"""Faults at the start, on this folder's broker."""

from tests.brokers import Broker
from tests.contracts.stage import set_up
from tests.contracts.startup import Startup, ended


class TestStartup(Startup):
    """See the contract."""

    async def test_exactly_once_without_transactions(self, broker: Broker) -> None:
        """Exactly once is asked for, the broker has no transactions: exit 1, told what else there is."""
        stage = await set_up(broker)
        with stage.worker(flags={"--delivery": "exactly_once"}) as worker:
            assert "--delivery effectively_once" in ended(worker, 1)
