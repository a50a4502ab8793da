"""`finalizer release`: an operator lets spans be closed that a safety holds back."""

from __future__ import annotations

import asyncio
import getpass
import socket
from typing import Any, Literal

import click

from finalizer.cli.config import ConfigFile
from finalizer.cli.follow import find_partitions
from finalizer.cli.kafka import ANSWER_SECONDS, Connection, connection_options, kafka_client
from finalizer.cli.options import WORKER, config_option, option, together
from finalizer.policy.quantities import duration, duration_text
from finalizer.policy.tree import Scalar
from finalizer.policy.values import Refused
from finalizer.shell.control import LONGEST_SECONDS, Release, encode
from finalizer.shell.stop import Exit, Stop

NANOSECONDS = 1_000_000_000


class Lasting(click.ParamType):
    """A duration as finalizer.yaml has it, in seconds."""

    name = "duration"
    _kind = duration(least=NANOSECONDS, most=LONGEST_SECONDS * NANOSECONDS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; fails on what is no duration between a second and a day."""
        if isinstance(value, float):
            return value
        try:
            read = self._kind.read(Scalar(str(value), plain=True, line=0))
        except Refused as refused:
            self.fail(f"{refused}.", param, ctx)
        assert isinstance(read, int)
        return read / NANOSECONDS


async def send(connection: Connection, topic: str, release: Release) -> None:
    """Write the record, and return when the broker has it."""
    from finalizer.shell.producer import Producer  # noqa: PLC0415 - the client takes its time to load

    await find_partitions(connection, [topic])
    producer = Producer(**connection.client_arguments, acks="all", request_timeout_ms=int(ANSWER_SECONDS * 1000))
    await producer.start()
    try:
        await producer.send_and_wait(topic, encode(release), key=release.release.encode(), partition=0)
    finally:
        await producer.stop()


@click.command("release")
@click.argument("what", metavar="[outage|breaker|all]", type=click.Choice(["outage", "breaker", "all"]))
@option("group", help="Of an outage: the group as the worker's log names it.  [default: all groups]")
@option("for", "lasting", type=Lasting(), default="15m", help="For how long: from a second to a day.")
@option("reason", help="Why; it stands in the log of every worker.")
@together({"app_id": WORKER["app_id"]})
@config_option
@connection_options
@click.pass_context
def command(
    ctx: click.Context,
    what: Literal["outage", "breaker", "all"],
    *,
    group: str | None,
    lasting: float,
    reason: str | None,
    app_id: str,
    config: ConfigFile,
    connection: Connection,
) -> int:
    """Let spans be closed that an outage or the breaker holds back.

    Every worker of --app-id follows at once, and one that starts later too, while it holds. Asking twice is no harm.
    """
    if config.problems:
        raise Stop(Exit.CONFIGURATION, "\n".join(config.problems))
    if group is not None and what == "breaker":
        raise click.UsageError("--group belongs to an outage; the breaker has none.", ctx)
    release = Release(
        release=what,
        group=group,
        for_seconds=lasting,
        by=f"{getpass.getuser()}@{socket.gethostname()}",
        reason=reason or "",
    )
    topic = f"{app_id}-control"
    with kafka_client(connection):
        asyncio.run(send(connection, topic, release))
    named = f" of {group}" if group is not None else ""
    click.echo(
        f"Released: {what}{named}, for {duration_text(int(lasting * NANOSECONDS))}. The workers of {app_id} say so in "
        "their logs (control.released)."
    )
    return int(Exit.DONE)
