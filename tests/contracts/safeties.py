"""Outage or death, the breaker, the bound of memory, and what operators release, through real topics."""

from __future__ import annotations

from tests.brokers import Broker
from tests.cli.runs import run
from tests.contracts.stage import Stage, set_up, set_up_mixed
from tests.traffic import by_span, event, send, topics_of
from tests.worker import QUICK_TERMS

SPANS = 40
OUTAGE = QUICK_TERMS.replace(
    "{settle: 1s}", "{settle: 1s, outage: {window: 5s, min_spans: 20, max_pause: 10m, group_by: [service.name]}}"
)
BREAKER = QUICK_TERMS.replace("{settle: 1s}", "{settle: 1s, breaker: {min_spans: 20}}")


async def beating(stage: Stage) -> None:
    """Spans of one service that have begun, and have beaten once."""
    told = [event("start", number, resource={"service.name": "app"}) for number in range(SPANS)]
    told += [event("heartbeat", number) for number in range(SPANS)]
    await send(stage.broker.bootstrap, stage.topic, told)


class Safeties:
    """What keeps a fault elsewhere from being taken for the death of spans."""

    async def test_a_service_that_is_cut_off_is_held_and_released_by_an_operator(self, broker: Broker) -> None:
        """All beats of a service stop: nobody is closed, metric, /readyz and log say it; after a release all are."""
        stage = await set_up(broker, partitions=1)
        with stage.worker(terms=OUTAGE).start() as worker:
            await beating(stage)
            await worker.reaches(1, "closing_paused", reason="outage")
            await worker.says("safety.outage_suspected")
            (partition,) = worker.readiness()["partitions"]
            assert (partition["state"], partition["held_groups"]) == ("outage", ["app"])
            async with stage.reader("finalized") as finals:
                assert await finals.quiet(3) == []
                released = run(
                    "release",
                    *("outage", "--group", "app", "--for", "1m", "--reason", "they are switched off"),
                    *("--broker", broker.bootstrap, "--app-id", stage.name),
                )
                assert released.code == 0, released.err
                found = by_span(await finals.until(SPANS))
            assert len(found) == SPANS
            for (one,) in found.values():
                assert (one.cause, one.attributes["span_finalizer.outage_suspected"]) == ("heartbeat_lost", True)
            await worker.says("they are switched off")
            assert worker.metric("closing_paused", reason="outage") == 0

    async def test_a_service_that_comes_back_loses_no_span(self, broker: Broker) -> None:
        """Cut off for longer than the timeouts, through a `kill -9`: every end that comes afterwards is in time."""
        stage = await set_up(broker, partitions=1)
        with stage.worker(terms=OUTAGE).start() as worker:
            await beating(stage)
            await worker.reaches(1, "closing_paused", reason="outage")
            worker.kill()
            worker.start()
            await worker.reaches(1, "closing_paused", reason="outage")
            await send(broker.bootstrap, stage.topic, [event("end", number) for number in range(SPANS)])
            async with stage.reader("finalized") as finals:
                found = by_span(await finals.until(SPANS))
            assert {one.cause for closed in found.values() for one in closed} == {"completed"}

    async def test_the_breaker_stops_a_mass_close_until_it_is_released(self, broker: Broker) -> None:
        """Half of what is open is closed, and no more, through a restart; `finalizer release breaker` lets it go on."""
        stage = await set_up(broker, partitions=1)
        with stage.worker(terms=BREAKER).start() as worker:
            await send(broker.bootstrap, stage.topic, [event("start", number) for number in range(SPANS)])
            async with stage.reader("finalized") as finals:
                await finals.until(SPANS // 2)
                await worker.reaches(1, "closing_paused", reason="breaker")
                await worker.says("safety.breaker_tripped")
                assert worker.terminate() == 0
                worker.start()
                await worker.reaches(1, "closing_paused", reason="breaker")
                assert len(await finals.quiet(2)) == SPANS // 2
                for _ in range(2):
                    assert run("release", "breaker", "--broker", broker.bootstrap, "--app-id", stage.name).code == 0
                found = by_span(await finals.until(SPANS))
            assert len(found) == SPANS
            assert worker.readiness()["ready"]

    async def test_a_release_holds_for_a_worker_that_starts_later(self, broker: Broker) -> None:
        """What was released an hour ago for a second is over; what still holds is known to whoever starts."""
        stage = await set_up(broker, partitions=1)
        with stage.worker(terms=BREAKER).start() as worker:
            assert worker.terminate() == 0
            control = f"{stage.name}-control"
            await send(broker.bootstrap, control, [b"no record of ours", b'{"release":"everything","for_seconds":1}'])
            assert run("release", "all", "--broker", broker.bootstrap, "--app-id", stage.name).code == 0
            worker.start()
            await worker.says("control.released")
            assert worker.log.count("control.ignored") == 2
            await send(broker.bootstrap, stage.topic, [event("start", number) for number in range(SPANS)])
            async with stage.reader("finalized") as finals:
                await finals.until(SPANS)

    async def test_memory_has_a_bound(self, broker: Broker) -> None:
        """Ten times the bound is poured in: what is open stays within it, the longest silent are written out."""
        stage = await set_up(broker, partitions=1)
        bound, poured = 500, 5000
        with stage.worker(terms="limits: {open_spans: 500}").start() as worker:
            for begin in range(0, poured, 1000):
                told = [event("start", number) for number in range(begin, begin + 1000)]
                await send(broker.bootstrap, stage.topic, told)
            async with stage.reader("finalized") as finals, stage.reader("dlq") as letters:
                found = by_span(await finals.until(poured - bound, limit_seconds=60))
                assert len(await letters.until(poured - bound)) == poured - bound
                assert {one.cause for closed in found.values() for one in closed} == {"evicted"}
                assert sorted(found) == list(range(poured - bound))
                assert worker.metric("open_spans") == bound
                assert worker.metric("finals_total", cause="evicted") == poured - bound
                await send(broker.bootstrap, stage.topic, [event("end", 0), event("end", poured - 1)])
                found = by_span(await finals.until(poured - bound + 2))
            assert [(one.cause, one.revision) for one in found[0]] == [("evicted", 1), ("completed", 2)]
            assert [one.cause for one in found[poured - 1]] == ["completed"]

    async def test_producers_stamps_are_told_at_the_start(self, broker: Broker) -> None:
        """An input whose timestamps are its producers' (`CreateTime`) is told once, with what that means."""
        stage = await set_up(broker, config={"message.timestamp.type": "CreateTime"})
        with stage.worker().start() as worker:
            told = worker.log.count("topics.create_time")
            assert told == (1 if broker.honours_log_append_time else told)

    async def test_a_dry_run_tells_what_would_be_closed_and_writes_nothing(self, broker: Broker) -> None:
        """It goes on from the real worker's state, follows what that one re-keys, and tells each span once; nobody else
        can see that it ran."""
        stage = await set_up_mixed(broker)
        terms = QUICK_TERMS.replace("silence: 4s", "silence: 1h")
        with stage.worker(terms=terms).start() as real:
            await send(broker.bootstrap, stage.topic, [event("start", number) for number in range(SPANS)])
            await real.reaches(SPANS, "open_spans")
            dry = stage.worker(flags={"--dry-run": ""})
            topics = await topics_of(broker.bootstrap)
            with dry.start():
                await dry.reaches(SPANS, "would_close_total", cause="timeout")
                await send(broker.bootstrap, stage.inputs[1], [event("end", 0), event("start", SPANS)])
                await dry.reaches(SPANS + 1, "would_close_total", cause="timeout")
                assert dry.log.count("dry_run.would_close") == SPANS + 1
                assert dry.readiness()["dry_run"]
                assert dry.metric("finals_total") == 0
                assert dry.terminate() == 0
            assert await topics_of(broker.bootstrap) == topics
            async with stage.reader("finalized") as finals:
                await finals.until(1)
                found = by_span(await finals.quiet(1))
            assert {number: [one.cause for one in closed] for number, closed in found.items()} == {0: ["completed"]}
            assert real.metric("open_spans") == SPANS
            assert real.terminate() == 0
