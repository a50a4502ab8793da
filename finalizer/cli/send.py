"""`finalizer send`: native events from lines to the input topic, and heartbeats of processes to theirs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Coroutine
from typing import Any, NamedTuple

import click
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from finalizer.cli.config import ConfigFile
from finalizer.cli.failures import INTERRUPTED
from finalizer.cli.follow import find_partitions
from finalizer.cli.kafka import ANSWER_SECONDS, Connection, connection_options, kafka_client, kafka_stop
from finalizer.cli.lines import MAX_LINE_BYTES, Line, read_lines
from finalizer.cli.options import config_option, option
from finalizer.client.sinks.kafka import INSTANCES
from finalizer.codecs import instance
from finalizer.codecs.errors import Unusable
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.native_event import parse
from finalizer.codecs.unknown_fields import told, unknown_fields
from finalizer.core.model import Coordinates, Kind
from finalizer.policy.load import Policy
from finalizer.policy.schema import Format
from finalizer.shell.stop import Exit, Stop

LAST_ACKS_SECONDS = 2.0
"""How long Ctrl-C waits for what is on its way."""
MAX_UNKNOWN = 20
"""Names that no event has, and that are told."""
NOWHERE = Coordinates("", 0, 0, 0)


class Target(NamedTuple):
    """Where events go."""

    topic: str
    kind: Kind | None
    """What a record of that topic is that does not say it."""
    instances: str
    """The topic of heartbeats of processes."""


class Sending:
    """One run: what was sent, acknowledged and refused. Lines that cannot be used are told on standard error."""

    def __init__(self, producer: AIOKafkaProducer, connection: Connection, target: Target, *, raw: bool) -> None:
        self._producer = producer
        self._connection = connection
        self._target = target
        self._found: set[str] = set()
        self._decoder = NativeDecoder(kind=target.kind)
        self._raw = raw
        self._unknown: set[str] = set()
        self._acknowledged = Counter({target.topic: 0})
        self.refused = 0
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with the broker's error, once there is one."""

    async def send_all(self, descriptor: int) -> None:
        """Send every line; return when all are acknowledged or refused. Raises ``KafkaError`` if the broker fails."""
        async for lines in read_lines(descriptor):
            for line in lines:
                await self._send(line)
        await self._producer.flush()

    async def _send(self, line: Line) -> None:
        value = line.value if self._raw or line.value is None else line.value.strip()
        if value is None:
            self._refuse(line, f"longer than {MAX_LINE_BYTES >> 20} MiB")
            return
        if not value and not self._raw:
            return
        topic, key = self._target.topic, None
        try:
            topic, key = self._place(value)
        except Unusable as error:
            if not self._raw:
                self._refuse(line, str(error))
                return
        else:
            self._tell_unknown(line.number, value)
        await self._find(topic)
        try:
            answer = await self._producer.send(topic, value, key=key)
        except MessageSizeTooLargeError:
            self._refuse(line, f"{len(value)} bytes are more than one record may have")
            return
        answer.add_done_callback(lambda done: self._note(done, line.number, topic))

    def told(self) -> str:
        """How far it came, in words."""
        return ", ".join(f"{_events(count)} acknowledged by {topic}" for topic, count in self._acknowledged.items())

    def _place(self, value: bytes) -> tuple[str, bytes]:
        """Topic and key of an event. Raises `Unusable`."""
        target = self._target
        if target.topic == target.instances or parse(value).type == "instance":
            return target.instances, instance.decode(value).instance_id.encode()
        return target.topic, self._decoder.decode(value, NOWHERE).key[:16].hex().encode()

    async def _find(self, topic: str) -> None:
        """Make sure that there is this topic: a producer would wait for it, or make the broker create it."""
        if topic not in self._found:
            await find_partitions(self._connection, [topic])
            self._found.add(topic)

    def _tell_unknown(self, number: int, value: bytes) -> None:
        """Fields that would be ignored, each name once: a misspelt one is a setting that its sender believes in."""
        for name in unknown_fields(value):
            if name not in self._unknown and len(self._unknown) < MAX_UNKNOWN:
                self._unknown.add(name)
                click.echo(f"line {number}: {told(name)}", err=True)

    def _note(self, answer: asyncio.Future[object], number: int, topic: str) -> None:
        error = asyncio.CancelledError() if answer.cancelled() else answer.exception()
        if error is None:
            self._acknowledged[topic] += 1
        elif isinstance(error, MessageSizeTooLargeError):
            self._refuse(Line(number, None), "larger than the broker takes")
        elif not self.failure.done():
            self.failure.set_exception(error)

    def _refuse(self, line: Line, why: str) -> None:
        self.refused += 1
        click.echo(f"line {line.number}: {why}", err=True)


def _events(count: int) -> str:
    return "1 event was" if count == 1 else f"{count} events were"


def target(policy: Policy, topic: str | None) -> Target:
    """Return topic and kind of the input that is meant: the one of this name, else the first native one."""
    native = [one for one in policy.inputs if one.format is Format.NATIVE]
    instances = policy.instances.topic or INSTANCES
    if topic is not None:
        return Target(topic, next((one.kind for one in native if one.topic == topic), None), instances)
    if not native:
        raise Stop(Exit.CONFIGURATION, "The configuration has no native input: name a topic with --topic.")
    return Target(native[0].topic, native[0].kind, instances)


async def send_all(descriptor: int, connection: Connection, target: Target, *, raw: bool) -> int:
    """Send all lines and return the exit code."""
    await find_partitions(connection, [target.topic])
    producer = AIOKafkaProducer(
        **connection.client_arguments,
        acks="all",
        linger_ms=5,
        max_request_size=MAX_LINE_BYTES + 1024,
        request_timeout_ms=int(ANSWER_SECONDS * 1000),
    )
    await producer.start()
    sending = Sending(producer, connection, target, raw=raw)
    try:
        await first_of(sending.send_all(descriptor), sending.failure)
    except KafkaError as error:
        stop = kafka_stop(error, broker=connection.broker)
        raise Stop(stop.code, f"{stop.sentence} {sending.told()}, the rest was not sent.") from error
    except asyncio.CancelledError:
        await _last_acks(producer)
        click.echo(f"Interrupted: {sending.told()}.", err=True)
        return INTERRUPTED
    finally:
        await _close(producer)
    refused = f", {sending.refused} refused" if sending.refused else ""
    click.echo(f"{sending.told()}{refused}.")
    return int(Exit.CONFIGURATION if sending.refused else Exit.DONE)


async def first_of(work: Coroutine[Any, Any, None], failure: asyncio.Future[None]) -> None:
    """Return when ``work`` is done; raise its exception or that of ``failure``, whichever comes first."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task, failure}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
    for one in done:
        one.result()


async def _last_acks(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(LAST_ACKS_SECONDS):
            await producer.flush()
    except (TimeoutError, KafkaError):
        return


async def _close(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(LAST_ACKS_SECONDS):
            await producer.stop()
    except (TimeoutError, KafkaError):
        return


@click.command("send")
@click.argument("file", metavar="[FILE]", default="-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@option("topic", help="Topic to send to.  [default: the first native input of the configuration]")
@option("raw", is_flag=True, help="Send each line as it is, byte for byte, also if no worker could use it.")
@config_option
@connection_options
@click.pass_context
def command(
    ctx: click.Context, file: str, topic: str | None, *, raw: bool, config: ConfigFile, connection: Connection
) -> int:
    """Send native events, one JSON object a line, to the input topic.

    Heartbeats of processes (type instance) go to the topic of instances: that of the configuration, or spans.instances.
    Lines come from FILE, or from standard input where it is - or left out. A line that is no event is told and passed
    by, and the exit code is 1 then.
    """
    if file == "-" and sys.stdin.isatty():
        raise click.UsageError("Standard input is a terminal: name a FILE, or pipe events in.", ctx)
    to = target(config.policy, topic)
    descriptor = sys.stdin.fileno() if file == "-" else os.open(file, os.O_RDONLY)
    with kafka_client(connection):
        return asyncio.run(send_all(descriptor, connection, to, raw=raw))
