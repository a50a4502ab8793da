"""`finalizer check`: all problems of configuration, policy, topics and broker at once."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import click

from finalizer.cli.config import ConfigFile
from finalizer.cli.kafka import Connection, connection_options
from finalizer.cli.options import CLIENTS, WEB, WORKER, config_option, together
from finalizer.cli.worker import settings_from
from finalizer.policy.load import Policy, load
from finalizer.policy.quantities import duration_text
from finalizer.shell.settings import Settings
from finalizer.shell.stop import Exit, Stop

LIMIT_SECONDS = 10.0
"""For the whole look at the broker; it gives up on one that does not answer after five."""


@click.command("check")
@config_option
@connection_options
@together(WORKER, WEB, CLIENTS)
def command(config: ConfigFile, connection: Connection, spool_ttl: int | None, **options: Any) -> int:
    """Check configuration, policy, topics and broker; tell all problems at once.

    Takes the options of the worker, and how long clients keep what they could not send; changes nothing and creates
    nothing. Exit code 1 if there is a problem.
    """
    policy, found = config.examined()
    problems = list(found)
    if policy is not None:
        problems += forgotten(policy, spool_ttl)
    try:
        # Where the policy is wrong the broker can still be looked at, with the default one.
        settings = settings_from(policy or load(""), connection, options)
    except Stop as stop:
        problems.append(stop.sentence)
    else:
        problems += unreadable(settings.policy)
        logging.getLogger().addHandler(logging.NullHandler())  # what the client logs is told as a problem
        problems += asyncio.run(examine_broker(settings, with_topics=policy is not None))
    if problems:
        click.echo(told(problems))
        return int(Exit.CONFIGURATION)
    assert policy is not None
    click.echo(summary(config, connection, policy))
    return int(Exit.DONE)


def forgotten(policy: Policy, spool_ttl: int | None) -> list[str]:
    """What clients may still send of spans that a worker with this policy does not remember any more."""
    presumed = policy.remember.presumed
    if spool_ttl is None or spool_ttl <= presumed:
        return []
    kept, remembered = duration_text(spool_ttl), duration_text(presumed)
    problem = (
        f"remember.presumed is {remembered}, and the spools of clients keep what they have for {kept}: an end that "
        f"comes when its span is forgotten makes a second final. Remember for {kept}, or give the spools a ttl of "
        f"{remembered} and say so: --spool-ttl {remembered} (or off, where no client has a spool)."
    )
    return [problem]


def unreadable(policy: Policy) -> list[str]:
    """Inputs whose format needs what is not installed."""
    from finalizer.shell.decoders import source_decoders  # noqa: PLC0415 - protobuf takes its time

    try:
        source_decoders(policy)
    except Stop as stop:
        return [stop.sentence]
    return []


async def examine_broker(settings: Settings, *, with_topics: bool) -> list[str]:
    """Return all problems of the broker, and of the policy's topics on it if those are known."""
    from finalizer.shell.topics import connect, examine  # noqa: PLC0415 - Faust takes its time

    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            if with_topics:
                return await examine(settings)
            await (await connect(settings)).close()
    except Stop as stop:
        return [stop.sentence]
    except TimeoutError:
        return [f"The broker at {settings.broker} did not answer within {LIMIT_SECONDS:g} seconds."]
    return []


def told(problems: list[str]) -> str:
    """The problems as a numbered list."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"{count}:", *(f"{number}. {problem}" for number, problem in enumerate(problems, start=1))])


def summary(config: ConfigFile, connection: Connection, policy: Policy) -> str:
    """What was found to be good."""
    source = str(config.path) if config.exists else f"no {config.path}, so the defaults"
    outputs = policy.outputs
    return "\n".join(
        [
            "All good.",
            f"  configuration  {source} (policy {policy.fingerprint})",
            f"  broker         {connection.broker}",
            f"  inputs         {', '.join(one.topic for one in policy.inputs)}",
            f"  outputs        {outputs.finalized.topic}, {outputs.dlq.topic}, {outputs.rejected.topic}",
            f"  rules          {', '.join(rule.name for rule in policy.rules) or 'none, one set of terms for all'}",
        ]
    )
