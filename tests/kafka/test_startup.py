"""Faults at the start, on this folder's broker."""

import pytest

from tests.brokers import Broker
from tests.contracts.stage import set_up
from tests.contracts.startup import Startup, ended


class TestStartup(Startup):
    """See the contract."""

    @pytest.mark.parametrize("seconds", ["0.5", "3600"])
    async def test_a_session_that_the_broker_refuses(self, broker: Broker, seconds: str) -> None:
        """The session timeout is outside `group.min/max.session.timeout.ms`: exit 1, with the limits."""
        stage = await set_up(broker)
        with stage.worker(flags={"--session-timeout": seconds}) as worker:
            assert "outside what the broker allows" in ended(worker, 1)
