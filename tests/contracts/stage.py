"""A stage for one test: topics, an app id and a configuration of its own, on whatever broker the test is given."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tests.brokers import Broker
from tests.traffic import Reader, create_topics
from tests.waiting import LIMIT_SECONDS, PAUSE_SECONDS
from tests.worker import QUICK_TERMS, Worker


class Stage(NamedTuple):
    """Names that no other test uses, and what to do with them."""

    broker: Broker
    name: str
    inputs: tuple[str, ...]
    rekeyed: tuple[str, ...] = ()
    """Those of the inputs that are re-keyed."""
    formats: Mapping[str, str] = {}
    """Of those inputs that are not native."""

    @property
    def topic(self) -> str:
        """The first (mostly the only) input topic."""
        return self.inputs[0]

    def worker(
        self,
        *,
        terms: str = QUICK_TERMS,
        flags: Mapping[str, str] | None = None,
        rejected: str = "over: 1000",
        module: Sequence[str] = ("finalizer",),
    ) -> Worker:
        """A worker of this stage, not started. All of them share one app id, so they are one group."""
        ways = {topic: "always" if topic in self.rekeyed else "never" for topic in self.inputs}
        inputs = "".join(
            f"  - {{topic: {topic}, rekey: {way}, format: {self.formats.get(topic, 'native')}}}\n"
            for topic, way in ways.items()
        )
        outputs = "".join(f"  {role}: {{topic: {self.output(role)}}}\n" for role in ("finalized", "dlq"))
        outputs += f"  rejected: {{topic: {self.output('rejected')}, {rejected}}}\n"
        config = f"inputs:\n{inputs}outputs:\n{outputs}{terms}"
        return Worker(self.broker.bootstrap, self.name, config=config, flags=flags, module=module)

    def by(self, bootstrap: str) -> Stage:
        """The same stage, for workers that reach its broker by another way."""
        return self._replace(broker=replace(self.broker, bootstrap=bootstrap))

    def output(self, role: str) -> str:
        return f"{self.name}.{role}"

    @property
    def evidence(self) -> str:
        return f"{self.name}-evidence"

    @property
    def changelog(self) -> str:
        return f"{self.name}-open_spans-changelog"

    def reader(self, role: str) -> Reader:
        return Reader(self.broker.bootstrap, self.output(role))


async def set_up(
    broker: Broker,
    *,
    inputs: int = 1,
    partitions: int = 4,
    config: Mapping[str, str] | None = None,
    rekeyed: bool = False,
) -> Stage:
    """Create a stage with its input topics; `config` is theirs, and `rekeyed` is about all of them."""
    name = f"stage-{uuid.uuid4().hex[:12]}"
    topics = tuple(f"{name}.events-{number}" for number in range(inputs))
    await create_topics(broker.bootstrap, *topics, partitions=partitions, config=config, copies=broker.copies)
    return Stage(broker, name, topics, topics if rekeyed else ())


async def set_up_mixed(broker: Broker) -> Stage:
    """A stage with a direct input, and one that is re-keyed and has other partitions."""
    stage = await set_up(broker)
    source = f"{stage.name}.source"
    await create_topics(broker.bootstrap, source, partitions=3, copies=broker.copies)
    return stage._replace(inputs=(stage.topic, source), rekeyed=(source,))


async def has_partitions(worker: Worker, count: int) -> None:
    """Wait until a worker is ready with so many partitions."""

    give_up = time.monotonic() + LIMIT_SECONDS
    while True:
        told = await asyncio.to_thread(worker.readiness)
        if told["ready"] and len(told["partitions"]) == count:
            return
        assert time.monotonic() < give_up, f"not ready with {count} partitions: {told}\n{worker.last_words}"
        await asyncio.sleep(PAUSE_SECONDS)
