"""Re-keyed inputs, on this folder's broker."""

from tests.brokers import Broker
from tests.contracts.rekeyed import Rekeyed
from tests.contracts.stage import set_up, set_up_mixed
from tests.contracts.startup import ended
from tests.traffic import create_topics, event, scatter, send


class TestRekeyed(Rekeyed):
    """See the contract."""

    async def test_misrouted_records_are_noticed(self, broker: Broker) -> None:
        """A direct input whose producer places records in its own way: counted, and told what to set, once."""
        stage = await set_up(broker)
        with stage.worker().start() as worker:
            await scatter(broker.bootstrap, stage.topic, [event("start", n) for n in range(40)], partitions=4)
            await worker.reaches(1, "misrouted_total", input=stage.topic)
            assert worker.log.count("set rekey: always on this input") == 1

    async def test_a_field_that_no_event_has_is_told(self, broker: Broker) -> None:
        """It is ignored, so whoever misspells one finds out from the log, once; and from a metric."""
        stage = await set_up(broker)
        wrong = [record | {"heartbeat_interval": 5} for record in (event("start", number) for number in range(40))]
        with stage.worker().start() as worker:
            await send(broker.bootstrap, stage.topic, wrong)
            await worker.reaches(40, "evidence_total", input=stage.topic)
            await worker.reaches(1, "unknown_fields_total", input=stage.topic)
            assert worker.log.count("Did you mean heartbeat_interval_ms?") == 1

    async def test_evidence_with_other_partitions_than_the_direct_inputs(self, broker: Broker) -> None:
        """The evidence topic does not fit the direct inputs: exit 1, and both are named with their partitions."""
        stage = await set_up_mixed(broker)
        await create_topics(broker.bootstrap, stage.evidence, partitions=3)
        with stage.worker() as worker:
            said = ended(worker, 1)
        assert f"{stage.evidence}, which has 3 partitions" in said

    async def test_an_input_that_was_direct_cannot_be_re_keyed_under_its_state(self, broker: Broker) -> None:
        """What was read of it stands in the state by its own partitions: exit 5, nothing closed."""
        stage = await set_up(broker)
        with stage.worker().start() as worker:
            assert worker.terminate() == 0
        with stage._replace(rekeyed=stage.inputs).worker() as worker:
            assert "inputs cannot change under a running state" in ended(worker, 5)
