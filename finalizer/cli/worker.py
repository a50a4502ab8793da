"""`finalizer worker`, and the settings of a worker as `check` sees them too."""

from __future__ import annotations

from typing import Any, Literal

import click

from finalizer.cli.config import ConfigFile
from finalizer.cli.kafka import Connection, connection_options
from finalizer.cli.options import LOGS, WEB, WORKER, config_option, option, together
from finalizer.policy.load import Policy
from finalizer.shell.settings import Compression, Delivery, Settings, StartFrom


def settings_from(policy: Policy, connection: Connection, options: dict[str, Any]) -> Settings:
    """Return the settings of a worker; ``options`` are those of `WORKER` and `WEB`."""
    words = {"delivery": Delivery, "start_from": StartFrom, "compression": Compression}
    meant: dict[str, Any] = {name: words[name](value) if name in words else value for name, value in options.items()}
    return Settings(policy=policy, broker=connection.broker, security=connection.security, **meant)


@click.command("worker")
@option("dry-run", is_flag=True, help="Write nothing: tell in the log, and as a metric, which spans would be closed.")
@config_option
@connection_options
@together(WORKER, WEB, LOGS)
def command(
    config: ConfigFile,
    connection: Connection,
    *,
    dry_run: bool,
    log_format: Literal["text", "json"],
    log_level: str,
    **options: Any,
) -> int:
    """Close spans: read the inputs, write finals and dead letters.

    Runs until SIGTERM or Ctrl-C, and then finishes what it has in hand. Logs go to standard error.
    """
    if dry_run and (options["instance_id"] is not None or options["leave"] or options["delivery"] != "auto"):
        raise click.UsageError(
            "A --dry-run has no place in a group and delivers nothing: leave out --instance-id, --leave, --delivery."
        )
    settings = settings_from(config.policy, connection, options)
    # Imported here: Faust takes its time, and a wrong setting is told without it.
    from finalizer.shell import logs  # noqa: PLC0415
    from finalizer.shell.run import run_worker  # noqa: PLC0415

    logs.setup(log_format, log_level)
    return run_worker(settings, dry_run=dry_run)
