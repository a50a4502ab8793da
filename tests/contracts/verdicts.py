"""The right verdict, through real topics."""

from __future__ import annotations

import asyncio
import json
import signal
import time

from tests.brokers import Broker
from tests.contracts.load import beating
from tests.contracts.stage import set_up
from tests.traffic import by_span, event, final, send

SECOND = 1_000_000_000


class Verdicts:
    """What is closed, when, and as what."""

    async def test_every_span_gets_one_final_with_its_cause(self, broker: Broker) -> None:
        """Reported, silent, lost, never beating, partial: one final each, and the incomplete ones a dead letter too."""
        stage = await set_up(broker)
        with stage.worker().start() as worker:
            await send(
                broker.bootstrap,
                stage.topic,
                [
                    *(event("start", number) for number in range(4)),
                    event("start", 4, heartbeat_interval_ms=1000),
                    event("end", 0, status={"code": "ok"}),
                    event("end", 1, reason="partial"),
                    event("heartbeat", 2),
                    event("end", 5),
                    event("start", 5),
                ],
            )
            async with stage.reader("finalized") as finals, stage.reader("dlq") as letters:
                found = by_span(await finals.until(6))
                causes = {number: [one.cause for one in closed] for number, closed in found.items()}
                assert causes == {
                    0: ["completed"],
                    1: ["partial"],
                    2: ["heartbeat_lost"],
                    3: ["timeout"],
                    4: ["no_heartbeat"],
                    5: ["completed"],
                }
                told = [json.loads(record.value) for record in await letters.until(4)]
                assert sorted(letter["cause"] for letter in told) == [
                    "heartbeat_lost",
                    "no_heartbeat",
                    "partial",
                    "timeout",
                ]
            assert worker.terminate() == 0

    async def test_a_late_end_makes_a_second_revision_and_resolves_the_dead_letter(self, broker: Broker) -> None:
        """An end after a presumed close gives revision 2, and a `resolved` record under the dead letter's key."""
        stage = await set_up(broker)
        with stage.worker().start() as worker:
            await send(broker.bootstrap, stage.topic, [event("start", 0), event("heartbeat", 0)])
            async with stage.reader("finalized") as finals, stage.reader("dlq") as letters:
                await finals.until(1)
                await send(broker.bootstrap, stage.topic, [event("end", 0)])
                (closed,) = by_span(await finals.until(2)).values()
                assert [(one.cause, one.revision) for one in closed] == [("heartbeat_lost", 1), ("completed", 2)]
                first, second = await letters.until(2)
                assert first.key == second.key
                assert [dict(one.headers)["dlq.kind"] for one in (first, second)] == [b"incomplete", b"resolved"]
            assert worker.metric("verdicts_overturned_total") == 1

    async def test_a_due_span_on_a_quiet_topic_is_closed_within_a_second_or_so(self, broker: Broker) -> None:
        """Nothing more comes on any partition, and five hundred due spans are closed all the same, not before time."""
        stage = await set_up(broker)
        with stage.worker().start():
            began = time.time_ns()
            await send(
                broker.bootstrap,
                stage.topic,
                [one for number in range(500) for one in (event("start", number), event("heartbeat", number))],
            )
            async with stage.reader("finalized") as finals:
                records = await finals.until(500)
            for record in records:
                one = final(record)
                assert one.cause == "heartbeat_lost"
                assert int(one.attributes["span_finalizer.deadline_unix_nano"]) >= began + 2.5 * SECOND

    async def test_ends_that_wait_through_an_outage_of_the_worker_are_not_overtaken(self, broker: Broker) -> None:
        """The worker is gone for longer than every timeout while the ends wait in the topic: not one false close."""
        stage = await set_up(broker)
        with stage.worker().start() as worker:
            await send(broker.bootstrap, stage.topic, [event("start", number) for number in range(50)])
            async with beating(stage, range(50)):
                await worker.reaches(50, "open_spans")
                worker.kill()
            await asyncio.sleep(4.5)  # the outage itself: longer than every deadline of these terms
            await send(broker.bootstrap, stage.topic, [event("end", number) for number in range(50)])
            worker.start()
            async with stage.reader("finalized") as finals:
                await finals.until(50)
                found = by_span(await finals.quiet(2))
        assert {one.cause for closed in found.values() for one in closed} == {"completed"}
        assert [len(closed) for closed in found.values()] == [1] * 50

    async def test_a_frozen_worker_closes_nothing_that_kept_beating(self, broker: Broker) -> None:
        """SIGSTOP for longer than every timeout while heartbeats go on: old silence is not taken for news."""
        stage = await set_up(broker)
        with stage.worker(flags={"--session-timeout": "12"}).start() as worker:
            await send(broker.bootstrap, stage.topic, [event("start", number) for number in range(20)])
            async with beating(stage, range(20)):
                await worker.reaches(20, "open_spans")
                worker.signal(signal.SIGSTOP)
                await asyncio.sleep(7)  # the freeze itself
                worker.signal(signal.SIGCONT)
                await send(broker.bootstrap, stage.topic, [event("end", number) for number in range(20)])
            async with stage.reader("finalized") as finals:
                await finals.until(20)
                found = by_span(await finals.quiet(2))
        assert {one.cause for closed in found.values() for one in closed} == {"completed"}

    async def test_what_cannot_be_used_is_rejected_and_touches_nothing_else(self, broker: Broker) -> None:
        """Poison in a batch goes to the rejected topic byte for byte, with a reason; its neighbours are used."""
        stage = await set_up(broker)
        poison = [b"", b"\xff\xfe", b"[" * 5000, b'{"type":"start"}', b'{"type":"end","trace_id":"zz"}', b"null"]
        with stage.worker().start():
            await send(broker.bootstrap, stage.topic, [event("start", 0), *poison, event("end", 0)])
            async with stage.reader("finalized") as finals, stage.reader("rejected") as rejected:
                (closed,) = by_span(await finals.until(1)).values()
                assert [one.cause for one in closed] == ["completed"]
                records = await rejected.until(len(poison))
                assert sorted(record.value for record in records) == sorted(poison)
                assert all(dict(record.headers)["dlq.reason"] for record in records)
