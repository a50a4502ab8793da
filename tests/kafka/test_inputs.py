"""Inputs that misbehave, on this folder's broker."""

from tests.brokers import Broker
from tests.contracts.crashes import STEADY
from tests.contracts.inputs import Inputs
from tests.contracts.stage import set_up
from tests.contracts.startup import ended
from tests.traffic import create_topics, event, final, send

LARGEST = 100_000
"""Bytes of a record that the outputs of these tests take."""


class TestInputs(Inputs):
    """See the contract."""

    async def test_a_final_that_is_too_large_loses_attributes(self, broker: Broker) -> None:
        """A final beyond what its topic takes is written without its largest attributes, and says so."""
        stage = await set_up(broker)
        await create_topics(broker.bootstrap, stage.output("finalized"), config={"max.message.bytes": str(LARGEST)})
        with stage.worker(terms=STEADY).start():
            large = {"small": "kept", "large": "x" * 2 * LARGEST}
            await send(broker.bootstrap, stage.topic, [event("start", 0, attributes=large), event("end", 0)])
            async with stage.reader("finalized") as finals:
                (record,) = await finals.until(1)
        one = final(record)
        assert one.attributes["small"] == "kept"
        assert "large" not in one.attributes
        assert any("truncated" in name for name in one.attributes), one.attributes

    async def test_a_rejected_record_that_is_too_large_keeps_its_first_bytes(self, broker: Broker) -> None:
        """An unusable record beyond what the rejected topic takes is cut: the input is not stopped by it."""
        stage = await set_up(broker)
        await create_topics(broker.bootstrap, stage.output("rejected"), config={"max.message.bytes": str(LARGEST)})
        garbage = b"garbage" * LARGEST
        with stage.worker(terms=STEADY).start() as worker:
            await send(broker.bootstrap, stage.topic, [garbage, event("start", 0), event("end", 0)])
            async with stage.reader("finalized") as finals, stage.reader("rejected") as rejected:
                await finals.until(1)
                (record,) = await rejected.until(1, limit_seconds=20)
            assert worker.exit_code is None
        assert garbage.startswith(record.value)
        assert 0 < len(record.value) < LARGEST

    async def test_an_output_that_takes_too_little(self, broker: Broker) -> None:
        """An output topic that takes less than a final needs is told at the start: exit 1."""
        stage = await set_up(broker)
        await create_topics(broker.bootstrap, stage.output("finalized"), config={"max.message.bytes": "20000"})
        with stage.worker() as worker:
            assert "max.message.bytes" in ended(worker, 1)
