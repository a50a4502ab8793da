"""Inputs that misbehave, on this folder's broker."""

from tests.brokers import Broker
from tests.contracts.crashes import STEADY
from tests.contracts.inputs import Inputs
from tests.contracts.load import completed_once, finals_of
from tests.contracts.stage import set_up
from tests.contracts.startup import ended
from tests.traffic import create_topics, event, final, send

MANY = 2000
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
                (record,) = await rejected.until(1)
            assert worker.exit_code is None
        assert garbage.startswith(record.value)
        assert 0 < len(record.value) < LARGEST

    async def test_a_group_of_finals_that_is_larger_than_the_broker_takes(self, broker: Broker) -> None:
        """Two thousand spans end at once on a topic that takes a hundred finals in one batch: all of them are there."""
        stage = await set_up(broker, partitions=1)
        await create_topics(broker.bootstrap, stage.output("finalized"), config={"max.message.bytes": str(LARGEST)})
        await send(broker.bootstrap, stage.topic, [event(kind, n) for n in range(MANY) for kind in ("start", "end")])
        with stage.worker(terms=STEADY).start() as worker:
            found = await finals_of(stage, MANY)
            assert worker.exit_code is None
            assert "Traceback" not in worker.log, worker.log
        completed_once(found, MANY, broker=broker)

    async def test_a_dead_letter_that_is_too_large_is_cut(self, broker: Broker) -> None:
        """A dead letter beyond what its topic takes loses its largest attributes; the final, which fits, keeps them."""
        stage = await set_up(broker)
        await create_topics(broker.bootstrap, stage.output("dlq"), config={"max.message.bytes": str(LARGEST)})
        with stage.worker(terms=STEADY).start() as worker:
            large = {"small": "kept", "large": "x" * 2 * LARGEST}
            closing = event("end", 0, reason="partial")
            await send(broker.bootstrap, stage.topic, [event("start", 0, attributes=large), closing])
            async with stage.reader("finalized") as finals, stage.reader("dlq") as letters:
                (whole,) = await finals.until(1)
                (letter,) = await letters.until(1)
            assert worker.exit_code is None
        assert final(whole).attributes["large"] == large["large"]
        assert len(letter.value) < LARGEST
        assert b"kept" in letter.value
        assert b"span_finalizer.truncated" in letter.value

    async def test_an_output_that_takes_too_little(self, broker: Broker) -> None:
        """An output topic that takes less than a final needs is told at the start: exit 1."""
        stage = await set_up(broker)
        await create_topics(broker.bootstrap, stage.output("finalized"), config={"max.message.bytes": "20000"})
        with stage.worker() as worker:
            assert "max.message.bytes" in ended(worker, 1)
