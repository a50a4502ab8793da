"""Topics and broker: looked at, created and checked before the worker starts, so that what is wrong is said at once.

(A missing topic or a refused session timeout would otherwise be swallowed by Faust, and the worker would hang.)
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaError,
    TopicAlreadyExistsError,
    TransactionalIdAuthorizationFailed,
    for_code,
)

from finalizer.codecs.fitting import LEAST_LIMIT
from finalizer.pipeline import Topic
from finalizer.shell import logs
from finalizer.shell.outbox import Destination
from finalizer.shell.producer import Producer
from finalizer.shell.settings import Delivery, Settings
from finalizer.shell.stop import Exit, Stop

log = logs.get("topics")

CONNECT_SECONDS = 5.0
REFUSAL_SECONDS = 1.0
"""A broker that is there refuses at once; one that says nothing was waited for already."""
LOOK_AGAIN_SECONDS = 0.1
TRANSACTION_SECONDS = 30.0
CHANGELOG_CONFIG = {
    "cleanup.policy": "compact",
    "segment.bytes": str(64 * 1024 * 1024),
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.2",
    "max.compaction.lag.ms": "1800000",
    "delete.retention.ms": "3600000",
    "message.timestamp.type": "LogAppendTime",
    "compression.type": "lz4",
    "max.message.bytes": str(16 * 1024 * 1024),
}
CONTROL_CONFIG = {"cleanup.policy": "delete", "retention.ms": "604800000", "message.timestamp.type": "LogAppendTime"}
"""A week: what was released is remembered longer than it holds."""
EVIDENCE_CONFIG = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",  # its records carry the time at which their sources heard them
    "compression.type": "lz4",
    "max.message.bytes": str(4 * 1024 * 1024),
}
INSTANCES_CONFIG = {
    "cleanup.policy": "compact,delete",
    "retention.ms": "86400000",  # who has not beaten for a day has no open spans
    "segment.ms": "600000",
    "message.timestamp.type": "LogAppendTime",
}
_DEFAULT_MAX_BYTES = 1_048_588
LEAST_MAX_BYTES = LEAST_LIMIT + 4096
"""What an output topic must take: the smallest limit for a final, its headers and framing."""


class Facts(NamedTuple):
    """What was found (or made) on the broker."""

    partitions: int
    """Of each direct input, of the topic of re-keyed evidence, and of the changelog."""
    outputs: Mapping[Topic, Destination]
    max_bytes: Mapping[Topic, int]
    """The largest record that each output topic takes."""
    transactional: bool
    evidence: Destination | None = None
    """Where re-keyed evidence goes; None: nothing is re-keyed."""
    sources: Mapping[str, int] = {}
    """Partitions of each input that is re-keyed."""

    @property
    def delivery(self) -> Delivery:
        return Delivery.EXACTLY_ONCE if self.transactional else Delivery.EFFECTIVELY_ONCE


class Misfit(str):
    """A problem of a state and topics that do not fit: a person must decide."""

    __slots__ = ()


async def prepare(settings: Settings) -> Facts:
    """Create what is missing and check the rest. Raises `Stop` with all problems at once."""
    admin = await connect(settings)
    try:
        problems, facts = await _Look(settings, admin).all(create=True)
    finally:
        await admin.close()
    if problems or facts is None:
        misfits = any(isinstance(problem, Misfit) for problem in problems)
        raise Stop(Exit.SAFETY if misfits else Exit.CONFIGURATION, "; ".join(problems))
    return facts


async def examine(settings: Settings) -> list[str]:
    """All problems of broker, topics and group settings, as sentences; creates nothing."""
    try:
        admin = await connect(settings)
    except Stop as stop:
        return [stop.sentence]
    try:
        return (await _Look(settings, admin).all(create=False))[0]
    finally:
        await admin.close()


async def connect(settings: Settings) -> AIOKafkaAdminClient:
    """An admin client that has reached the broker.

    Raises `Stop` if there is none within five seconds: a fault that a restart may cure, since worker and broker are
    often started together. A broker that refuses us is a wrong configuration.
    """
    admin = AIOKafkaAdminClient(**settings.client_arguments(), request_timeout_ms=int(CONNECT_SECONDS * 1000))
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await admin.start()
    except (TimeoutError, KafkaConnectionError, OSError) as error:
        await admin.close()
        refusal = await _refusal_behind(settings)
        if refusal is not None:
            raise Stop(Exit.CONFIGURATION, f"the broker at {settings.broker} refused us: {refusal}") from error
        raise Stop(
            Exit.FAULT,
            f"no Kafka broker answers at {settings.broker}: is it up, and are --broker and the security options right?",
        ) from error
    except KafkaError as error:
        await admin.close()
        raise Stop(Exit.CONFIGURATION, f"the broker at {settings.broker} refused us: {error}") from error
    return admin


async def _refusal_behind(settings: Settings) -> str | None:
    """Why a broker that is there does not let us in, which the client only logs; None if that is not it."""
    arguments = settings.client_arguments()
    for host, port, _ in collect_hosts(arguments.pop("bootstrap_servers")):
        try:
            async with asyncio.timeout(REFUSAL_SECONDS):
                connection = await create_conn(host, port, **arguments)
            connection.close()
        except ssl.SSLError as error:
            return str(error)
        except (TimeoutError, KafkaConnectionError, OSError):
            continue
        except KafkaError as error:
            return str(error)
    return None


class _Look:
    """One look at the broker; gathers problems instead of stopping at the first."""

    def __init__(self, settings: Settings, admin: AIOKafkaAdminClient) -> None:
        self._settings = settings
        self._admin = admin
        self._problems: list[str] = []

    async def all(self, *, create: bool) -> tuple[list[str], Facts | None]:
        settings = self._settings
        policy = settings.policy
        found = await self._partitions()
        partitions = self._count(found)
        outputs = {
            Topic.FINALIZED: policy.outputs.finalized.topic,
            Topic.DLQ: policy.outputs.dlq.topic,
            Topic.REJECTED: policy.outputs.rejected.topic,
        }
        instances = () if settings.instances is None else (settings.instances,)
        wanted = {
            settings.changelog: partitions,
            settings.control: 1,
            **dict.fromkeys((*settings.inputs, *outputs.values()), partitions),
            **dict.fromkeys((*settings.sources, *instances), policy.topics.partitions),
        }
        missing = {topic: count for topic, count in wanted.items() if topic not in found}
        await self._check_heard([topic for topic in settings.heard if topic in found])
        if missing and create:
            await self._create(missing)
            found |= missing
        elif missing:
            self._problems += [
                f"topic {topic} does not exist (the worker would create it with {n} partitions)"
                for topic, n in missing.items()
            ]
        self._check_counts(found, partitions)
        transactional = await self._transactional()
        await self._check_group()
        limits = await self._limits((*outputs.values(), *((settings.evidence,) if settings.sources else ())))
        self._problems += [
            f"topic {topic} takes records of {limit} bytes: set its max.message.bytes to {LEAST_MAX_BYTES} or more"
            for topic, limit in limits.items()
            if limit < LEAST_MAX_BYTES
        ]
        if self._problems:
            return self._problems, None
        max_bytes = {topic: limits.get(name, _DEFAULT_MAX_BYTES) for topic, name in outputs.items()}
        destinations = {
            topic: Destination(name, found.get(name, partitions), max_bytes[topic]) for topic, name in outputs.items()
        }
        evidence = Destination(settings.evidence, partitions, limits.get(settings.evidence, _DEFAULT_MAX_BYTES))
        return [], Facts(
            partitions,
            destinations,
            max_bytes,
            transactional,
            evidence if settings.sources else None,
            {topic: found[topic] for topic in settings.sources},
        )

    def _count(self, found: Mapping[str, int]) -> int:
        """Partitions of the inputs: as many as the direct ones have; where there are none, as the evidence was created
        with."""
        settings = self._settings
        direct = [found[topic] for topic in settings.direct if topic in found]
        created = found.get(settings.evidence) if settings.sources else None
        return max(direct, default=created or settings.policy.topics.partitions)

    async def _partitions(self) -> dict[str, int]:
        described = await self._admin.describe_topics()
        return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}

    async def _create(self, missing: Mapping[str, int]) -> None:
        rules = self._settings.policy.topics
        durable = {} if rules.min_insync_replicas is None else {"min.insync.replicas": str(rules.min_insync_replicas)}
        copies = rules.replication_factor or min(3, len(self._admin._client.cluster.brokers()) or 1)
        internal = {
            self._settings.changelog: CHANGELOG_CONFIG,
            self._settings.control: CONTROL_CONFIG,
            self._settings.evidence: EVIDENCE_CONFIG,
            self._settings.instances: INSTANCES_CONFIG,
        }
        new = []
        for topic, count in missing.items():
            config = internal.get(topic, {})
            if topic in self._settings.named:
                config = {"message.timestamp.type": "LogAppendTime"}
                log.warning("created", "the input topic did not exist and was created", topic=topic, partitions=count)
            new.append(NewTopic(topic, count, copies, topic_configs={**config, **durable}))
        try:
            answer = await self._admin.create_topics(new)
        except KafkaError as error:
            self._problems.append(f"topics {', '.join(missing)} cannot be created: {error}")
            return
        for topic, code, *text in answer.topic_errors:
            if for_code(code) is TopicAlreadyExistsError:
                await self._look_again(topic)
            elif code:
                why = text[0] if text and text[0] else for_code(code).__name__
                self._problems.append(f"topic {topic} does not exist and cannot be created: {why}")

    async def _look_again(self, topic: str) -> None:
        """It was not there and is: somebody else has just made it, or it was hidden from us all the time."""
        give_up = time.monotonic() + CONNECT_SECONDS
        while topic not in await self._partitions():
            if time.monotonic() > give_up:
                self._problems.append(f"topic {topic} exists, and the broker does not let us see it: allow Read on it")
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def _check_counts(self, found: Mapping[str, int], partitions: int) -> None:
        counts = {topic: found[topic] for topic in self._settings.direct if topic in found}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
            self._problems.append(
                f"input topics must have equal numbers of partitions: {told}; or set rekey: always on those that differ"
            )
        control = self._settings.control
        if found.get(control, 1) != 1:
            self._problems.append(f"topic {control} has {found[control]} partitions: it must have one")
        evidence = self._settings.evidence
        if self._settings.sources and found.get(evidence, partitions) != partitions:
            self._problems.append(
                f"re-keyed evidence goes through {evidence}, which has {found[evidence]} partitions, and the direct "
                f"inputs have {partitions}: they must be equal; use a new --app-id"
            )
        changelog = self._settings.changelog
        if found.get(changelog, partitions) != partitions:
            self._problems.append(
                Misfit(
                    f"the inputs have {partitions} partitions, the state in {changelog} was made with "
                    f"{found[changelog]}: partitions cannot be changed under a running state; use a new --app-id"
                )
            )

    async def _check_heard(self, inputs: Iterable[str]) -> None:
        """Say once what the producers' own stamps mean: it is no mistake, but somebody should have chosen it."""
        found = await self._configs([ConfigResource(ConfigResourceType.TOPIC, topic) for topic in inputs])
        for topic, values in found.items():
            cleanup = values.get("cleanup.policy") or "compact"
            if topic == self._settings.instances and "compact" not in cleanup:
                self._problems.append(
                    f"topic {topic} has cleanup.policy={cleanup}, and every worker reads all of it: set it to compact, "
                    "or to compact,delete with a retention of a day"
                )
            if values.get("message.timestamp.type") == "CreateTime":
                log.warning(
                    "create_time",
                    "deadlines run on the record's timestamp, which on this topic is its producer's (CreateTime): one "
                    "that lags looks silent for less time than it was, one that is ahead is cut to now; "
                    "message.timestamp.type=LogAppendTime makes it the broker's",
                    topic=topic,
                )

    async def _transactional(self) -> bool:
        wanted = self._settings.delivery
        if wanted is Delivery.EFFECTIVELY_ONCE:
            return False
        try:
            refusal = await self._refusal()
        except TransactionalIdAuthorizationFailed:
            self._problems.append(
                "the broker has transactions, but does not let us use them: allow Write on transactional ids with the "
                f"prefix {self._settings.app_id}-, or use --delivery effectively_once"
            )
            return False
        except (TimeoutError, KafkaError) as error:
            self._problems.append(
                f"the broker has transactions, but starts none within {TRANSACTION_SECONDS:g} s ({error!r}): are there "
                "enough nodes for transaction.state.log.replication.factor? Or use --delivery effectively_once"
            )
            return False
        if refusal is not None and wanted is Delivery.EXACTLY_ONCE:
            self._problems.append(
                f"the broker offers no transactions ({refusal}): use --delivery effectively_once, or another broker"
            )
        return refusal is None

    async def _refusal(self) -> str | None:
        """Why the broker gives no transactional producer; None if it does. (It may name the request, not serve it.)

        Raises what may pass: delivery must not depend on a broker that is slow today.
        """
        producer = Producer(**self._settings.client_arguments(), transactional_id=f"{self._settings.app_id}-probe")
        try:
            async with asyncio.timeout(TRANSACTION_SECONDS):
                await producer.start()
        except KafkaError as error:
            if error.retriable or isinstance(error, TransactionalIdAuthorizationFailed):
                raise
            return str(error) or type(error).__name__
        await producer.stop()
        return None

    async def _check_group(self) -> None:
        low, high = await self._session_limits()
        asked = self._settings.session_timeout * 1000
        if (low is not None and asked < low) or (high is not None and asked > high):
            self._problems.append(
                f"--session-timeout {self._settings.session_timeout:g} is outside what the broker allows "
                f"({(low or 0) / 1000:g} to {(high or 0) / 1000:g} seconds)"
            )

    async def _session_limits(self) -> tuple[int | None, int | None]:
        nodes = self._admin._client.cluster.brokers()
        if not nodes:
            return None, None
        resource = ConfigResource(ConfigResourceType.BROKER, str(next(iter(nodes)).nodeId))
        values = (await self._configs([resource])).get(resource.name, {})
        return _number(values.get("group.min.session.timeout.ms")), _number(values.get("group.max.session.timeout.ms"))

    async def _limits(self, topics: Iterable[str]) -> dict[str, int]:
        found = await self._configs([ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics])
        limits = {topic: _number(values.get("max.message.bytes")) for topic, values in found.items()}
        return {topic: limit for topic, limit in limits.items() if limit}

    async def _configs(self, resources: list[ConfigResource]) -> dict[str, dict[str, Any]]:
        """Configurations by name; empty where the broker does not tell (or does not let us ask)."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                answers = await self._admin.describe_configs(resources)
        except (KafkaError, IncompatibleBrokerVersion, TimeoutError) as error:
            log.debug("configs", "the broker does not tell its configuration", reason=str(error))
            return {}
        told: dict[str, dict[str, Any]] = {}
        for answer in answers:
            for code, _text, _kind, name, entries in answer.resources:
                if not code:
                    told[name] = {entry[0]: entry[1] for entry in entries}
        return told


def _number(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and text.isdigit() else None
