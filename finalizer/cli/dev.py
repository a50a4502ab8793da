"""`finalizer dev`: an embedded broker and a worker that stay up, to develop a producer or a consumer against."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from finalizer.cli.child import WorkerChild, flags
from finalizer.cli.config import ConfigFile
from finalizer.cli.interrupts import run_until_told
from finalizer.cli.options import LOGS, WEB, WORKER, config_option, option, together
from finalizer.embedded import EmbeddedBroker
from finalizer.embedded.readiness import free_port, is_free
from finalizer.policy.load import Policy
from finalizer.shell.stop import Exit, Stop

LOOK_SECONDS = 0.2
SESSION_SECONDS = 2.0
DEV_WORKER = {name: one for name, one in WORKER.items() if name in {"app_id", "start_from"}}
SAMPLE = (
    """echo '{"type":"start","name":"upload","timeout_ms":5000,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","""
    """"span_id":"00f067aa0ba902b7","time_unix_nano":'$(date +%s%N)'}' | finalizer send --broker BROKER"""
)


@click.command("dev")
@option("port", type=click.IntRange(1, 65535), default=9092, help="Port of the broker; a free one if 9092 is taken.")
@config_option
@together(DEV_WORKER, WEB, LOGS)
@click.pass_context
def command(ctx: click.Context, /, port: int, config: ConfigFile, web_bind: str, web_port: int, **options: Any) -> int:
    """Keep a broker and a worker running on this machine, to develop against.

    Everything is kept in memory and gone when it stops, on Ctrl-C or SIGTERM. The policy is that of finalizer.yaml.
    """
    policy = config.policy
    port = port_to_use(ctx, "port", port)
    web_port = port_to_use(ctx, "web_port", web_port)
    with tempfile.TemporaryDirectory(prefix="finalizer-dev-") as folder, EmbeddedBroker(port) as broker:
        # Options for another broker may stand under `worker:`, so the worker gets the policy alone.
        copy = Path(folder) / config.path.name
        copy.write_text(config.policy_text, encoding="utf-8")
        settings = {
            **options,
            "config": copy,
            "broker": broker.bootstrap,
            "session_timeout": SESSION_SECONDS,
            "web_bind": web_bind,
            "web_port": web_port,
        }
        with WorkerChild(flags(settings)) as worker:
            try:
                run_until_told(stay(worker, broker.bootstrap, policy, web=(web_bind, web_port)))
            except KeyboardInterrupt:
                worker.stop()
                click.echo(worker.new_lines(), err=True, nl=False)
    return int(Exit.DONE)


def port_to_use(ctx: click.Context, name: str, port: int) -> int:
    """Return the port, or a free one if it is a default that is taken. Raises ``Stop`` if somebody asked for it."""
    if is_free(port):
        return port
    if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
        raise Stop(Exit.CONFIGURATION, f"Port {port} on 127.0.0.1 is taken by another program.")
    other = free_port()
    click.echo(f"Port {port} is taken, {other} is used instead.", err=True)
    return other


async def stay(worker: WorkerChild, broker: str, policy: Policy, *, web: tuple[str, int]) -> None:
    """Show what to use and then the worker's log, until cancelled. Raises ``Stop`` if the worker ends."""
    web_bind, web_port = web
    await worker.wait_until_ready(web_port, web_bind=web_bind)
    click.echo(welcome(broker, policy, web_port=web_port))
    while True:
        click.echo(worker.new_lines(), err=True, nl=False)
        worker.check()
        await asyncio.sleep(LOOK_SECONDS)


def welcome(broker: str, policy: Policy, *, web_port: int) -> str:
    """What to point producers, consumers and browsers at."""
    inputs = ", ".join(f"{one.topic} ({one.format.value})" for one in policy.inputs)
    outputs = policy.outputs
    uses = [
        ("send events to", inputs, f"finalizer send --broker {broker}"),
        ("finals come on", outputs.finalized.topic, f"finalizer tail --broker {broker}"),
        ("incomplete spans", outputs.dlq.topic, f"finalizer tail dlq --broker {broker}"),
        ("rejected input", outputs.rejected.topic, f"finalizer tail rejected --broker {broker}"),
        ("metrics, health", f"http://127.0.0.1:{web_port}/metrics", "/livez /readyz /version"),
    ]
    width = max(len(place) for _, place, _ in uses)
    return "\n".join(
        [
            f"A Kafka broker listens on {broker}, and a worker reads from it. Ctrl-C ends both; nothing is kept.",
            "",
            *(f"  {use:<16}  {place:<{width}}  {how}" for use, place, how in uses),
            "",
            "A span that is closed, since nothing follows its start and it may take five seconds:",
            "",
            SAMPLE.replace("BROKER", broker),
            "",
        ]
    )
