"""Re-keyed inputs: what holds for direct ones holds for them, whatever their keys, placement and partitions."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.brokers import Broker
from tests.codecs.otlp_making import to_message
from tests.contracts.load import beating, completed_once, each_once, finals_of
from tests.contracts.stage import set_up, set_up_mixed
from tests.recordings.judging import check
from tests.recordings.reading import programs, recording, ways
from tests.traffic import by_span, event, scatter, send
from tests.waiting import until_true
from tests.worker import Worker


class Rekeyed:
    """Inputs with `rekey: always`."""

    async def test_evidence_of_a_trace_meets_whatever_its_keys(self, broker: Broker) -> None:
        """Records without keys, anywhere in three partitions: each span has one final, of all that was said of it."""
        stage = await set_up(broker, partitions=3, rekeyed=True)
        with stage.worker().start() as worker:
            await scatter(broker.bootstrap, stage.topic, [event("start", number) for number in range(20)])
            await scatter(broker.bootstrap, stage.topic, [event("end", number) for number in range(10)])
            await scatter(broker.bootstrap, stage.topic, [event("heartbeat", number) for number in range(10, 20)])
            async with stage.reader("finalized") as finals:
                found = by_span(await finals.until(20))
            assert worker.metric("evidence_total", input=stage.topic) == 40
            assert worker.terminate() == 0
            assert "Unclosed" not in worker.log
        causes = {number: [one.cause for one in closed] for number, closed in found.items()}
        assert causes == {number: ["completed" if number < 10 else "heartbeat_lost"] for number in range(20)}

    async def test_ends_that_wait_through_an_outage_are_not_overtaken(self, broker: Broker) -> None:
        """The worker is gone for longer than every timeout while the ends wait in a source: not one false close."""
        stage = await set_up(broker, partitions=3, rekeyed=True)
        with stage.worker().start() as worker:
            await scatter(broker.bootstrap, stage.topic, [event("start", number) for number in range(50)])
            async with beating(stage, range(50)):
                await worker.reaches(50, "open_spans")
                worker.kill()
            await asyncio.sleep(4.5)  # the outage itself: longer than every deadline of these terms
            await scatter(broker.bootstrap, stage.topic, [event("end", number) for number in range(50)], first=1)
            worker.start()
            found = await finals_of(stage, 50)
        completed_once(found, 50, broker=broker)

    async def test_a_source_whose_worker_is_frozen_holds_back_closing(self, broker: Broker) -> None:
        """Its spans beat on and end, unread, for longer than every deadline: nobody closes them, and it is named."""
        stage = await set_up(broker, partitions=2, rekeyed=True)
        flags = {"--session-timeout": "12"}
        one, other = stage.worker(flags=flags), stage.worker(flags=flags)
        with one.start(ready=False), other.start(ready=False):
            await shares(one, other)
            await scatter(broker.bootstrap, stage.topic, [event("start", n) for n in range(40)], partitions=2)
            async with beating(stage, range(40)):
                await open_spans(40, one, other)
                other.signal(signal.SIGSTOP)
            await holds_back(one)
            await scatter(broker.bootstrap, stage.topic, [event("end", n) for n in range(40)], partitions=2)
            other.signal(signal.SIGCONT)
            found = await finals_of(stage, 40)
        each_once(found, 40, broker=broker)
        causes = [one.cause for number in range(1, 40, 2) for one in found[number]]
        assert causes == ["completed"] * 20

    async def test_what_real_clients_sent_comes_out_as_their_programs_knew_it(self, broker: Broker) -> None:
        """Recorded traffic of each client, all at once: every span once, the crashed ones at their last word."""
        stage = await set_up(broker, inputs=2, rekeyed=True)
        topics = dict(zip(("otlp_logs", "otlp_spans"), stage.inputs, strict=True))
        stage = stage._replace(formats=dict(zip(stage.inputs, ("partial_log", "otlp_spans"), strict=True)))
        recorded = [recording(program, ways(program)[0]) for program in programs()]
        expected = {span.span_id: span for one in recorded for span in one.spans if span.known}
        with stage.worker().start():
            async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
                for record in (record for one in recorded for record in one.records):
                    place = {"topic": topics[record.topic], "partition": record.partition % 4}
                    await producer.send(**place, key=record.key, value=record.value, headers=list(record.headers))
                await producer.flush()
            async with stage.reader("finalized") as finals:
                await finals.until(len(expected))
                found = {
                    dict(record.headers)["traceparent"].split(b"-")[2].decode(): record.value
                    for record in await finals.quiet(1)
                }
                assert len(finals.records) == len(expected)
        assert found.keys() == expected.keys()
        for span_id, value in found.items():
            (outer,) = to_message(value).resource_spans
            (inner,) = outer.scope_spans
            check(inner.spans[0], inner, outer, expected[span_id])

    async def test_two_ends_in_a_direct_and_a_re_keyed_input_with_a_kill_between(self, broker: Broker) -> None:
        """The same end comes both ways, with a crash after the first: one final, whichever was first."""
        stage = await set_up_mixed(broker)
        worker = stage.worker()
        ends = [event("end", number, at=2_000_000_000 * 10**9) for number in range(20)]
        with worker.start():
            await send(broker.bootstrap, stage.inputs[0], [event("start", number) for number in range(20)])
            await send(broker.bootstrap, stage.inputs[0], ends[:10])
            await scatter(broker.bootstrap, stage.inputs[1], ends[10:])
            async with stage.reader("finalized") as finals:
                await finals.until(20)
                worker.kill()
                await scatter(broker.bootstrap, stage.inputs[1], ends[:10])
                await send(broker.bootstrap, stage.inputs[0], ends[10:])
                worker.start()
                await worker.reaches(10, "evidence_total", input=stage.inputs[0])
                await worker.reaches(10, "evidence_total", input=stage.inputs[1])
                found = by_span(await finals.quiet(2))
        each_once(found, 20, broker=broker)
        assert all({one.revision for one in closed} == {1} for closed in found.values())

    async def test_what_cannot_be_used_is_rejected_and_too_much_of_it_holds_the_source(self, broker: Broker) -> None:
        """Poison goes to the rejected topic byte for byte; a source of little else is held, and closing with it."""
        stage = await set_up(broker, partitions=1, rekeyed=True)
        poison = [b"garbage %d" % number for number in range(30)]
        with stage.worker(rejected="over: 20, max_ratio: 0.5").start() as worker:
            await send(broker.bootstrap, stage.topic, [event("start", 0), *poison, event("heartbeat", 0)])
            async with stage.reader("rejected") as rejected:
                records = await rejected.until(len(poison))
            await worker.reaches(1, "input_paused", input=stage.topic)
            await worker.reaches(4, "closing_paused", reason="input_paused")
            assert worker.metric("may_close") == 0
            assert f"look at {stage.output('rejected')}" in worker.log
        assert sorted(record.value for record in records) == sorted(poison)
        headers = [dict(record.headers) for record in records]
        assert {one["__connect.errors.topic"] for one in headers} == {stage.topic.encode()}
        assert [int(one["__connect.errors.offset"]) for one in headers] == list(range(1, 31))


async def shares(*workers: Worker) -> None:
    """Wait until each of them has partitions, and is ready."""

    async def is_so() -> bool:
        for worker in workers:
            told = await asyncio.to_thread(worker.readiness)
            if not told["ready"] or not told["partitions"]:
                return False
        return True

    await until_true(is_so)


async def holds_back(worker: Worker) -> None:
    """Wait until a source is 4 s behind for it: it closes nothing then."""
    told: list[dict[str, Any]] = []

    async def is_so() -> bool:
        told.append(await asyncio.to_thread(worker.readiness))
        return any((source["clock_lag_seconds"] or 0) >= 4 for source in told[-1]["sources"])

    await until_true(is_so)
    assert "ready" not in {partition["state"] for partition in told[-1]["partitions"]}


async def open_spans(count: int, *workers: Worker) -> None:
    """Wait until they have so many spans open together."""

    async def is_so() -> bool:
        return sum([await asyncio.to_thread(worker.metric, "open_spans") for worker in workers]) >= count

    await until_true(is_so)
