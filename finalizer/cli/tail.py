"""`finalizer tail`: what is written to the output topics, as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import click

from finalizer.cli.config import ConfigFile
from finalizer.cli.follow import Follower
from finalizer.cli.interrupts import run_until_told
from finalizer.cli.kafka import Connection, connection_options, kafka_client
from finalizer.cli.options import config_option, option
from finalizer.cli.show import as_json, final_line, letter_line, rejected_line
from finalizer.policy.schema import Outputs
from finalizer.shell.stop import Exit

LINES: dict[str, Callable[[Any], str]] = {"finalized": final_line, "dlq": letter_line, "rejected": rejected_line}


def topic_of(outputs: Outputs, what: str) -> str:
    """Name of the topic for `finalized`, `dlq` or `rejected`."""
    topics = {"finalized": outputs.finalized.topic, "dlq": outputs.dlq.topic, "rejected": outputs.rejected.topic}
    return topics[what]


async def follow(follower: Follower, line: Callable[[Any], str], *, count: int | None) -> None:
    """Write a line for each record, until there were ``count``."""
    written = 0
    async for records in follower.batches():
        for record in records:
            click.echo(line(record))
            written += 1
            if written == count:
                return


async def tail(
    connection: Connection,
    topic: str,
    line: Callable[[Any], str],
    *,
    from_beginning: bool,
    count: int | None,
    timeout: float | None,
) -> None:
    """Follow one topic until there were ``count`` records or ``timeout`` seconds are over."""
    async with Follower(connection, [topic], from_beginning=from_beginning) as follower:
        since = "from its beginning" if from_beginning else "from now on"
        click.echo(f"Reading {topic} {since}; Ctrl-C ends.", err=True)
        try:
            async with asyncio.timeout(timeout):
                await follow(follower, line, count=count)
        except TimeoutError:
            return


@click.command("tail")
@click.argument("what", type=click.Choice(list(LINES)), default="finalized", metavar="[finalized|dlq|rejected]")
@option("from-beginning", is_flag=True, help="Begin with the oldest record instead of now.")
@option("json", "as_object", is_flag=True, help="One JSON object a line: key, headers and the value, decoded.")
@option("count", type=click.IntRange(min=1), help="End after so many records.")
@option("timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so long.")
@config_option
@connection_options
def command(
    what: str,
    *,
    from_beginning: bool,
    as_object: bool,
    count: int | None,
    timeout: float | None,
    config: ConfigFile,
    connection: Connection,
) -> int:
    """Follow finals, dead letters or rejected records as they are written.

    Reads committed records, without a group: it changes nothing for the worker or for other readers.
    """
    topic = topic_of(config.policy.outputs, what)
    line = as_json if as_object else LINES[what]
    with kafka_client(connection):
        try:
            run_until_told(tail(connection, topic, line, from_beginning=from_beginning, count=count, timeout=timeout))
        except KeyboardInterrupt:
            return int(Exit.DONE)
    return int(Exit.DONE)
