"""The command group. A command's module is imported when it is called, so that `finalizer --help` answers at once."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import NamedTuple

import click

from finalizer import __version__
from finalizer.cli.failures import explain


class Place(NamedTuple):
    """Where a command lives (its module has it as `command`), and the first line of its help."""

    module: str
    summary: str


COMMANDS = {
    "worker": Place("finalizer.cli.worker", "Close spans: read the inputs, write finals and dead letters."),
    "demo": Place(
        "finalizer.cli.demo.run", "Show it at work: a broker, a worker and a crowd of clients, of which some crash."
    ),
    "dev": Place("finalizer.cli.dev", "Keep a broker and a worker running on this machine, to develop against."),
    "check": Place("finalizer.cli.check", "Check configuration, policy, topics and broker; tell all problems at once."),
    "send": Place("finalizer.cli.send", "Send native events, one JSON object a line, to the input topic."),
    "sim": Place("finalizer.cli.sim", "Simulate worlds with every fault, and compare what was written with the truth."),
    "bench": Place(
        "finalizer.cli.bench", "Measure a worker on this machine, load by load, beside stock Faust and bare reading."
    ),
    "tail": Place("finalizer.cli.tail", "Follow finals, dead letters or rejected records as they are written."),
    "release": Place("finalizer.cli.release", "Let spans be closed that an outage or the breaker holds back."),
}

EPILOG = (
    "Every option is also an environment variable: --web-port is FINALIZER_WEB_PORT; a secret may lie in a file that "
    "FINALIZER_<NAME>_FILE names. What is not given is taken from `worker:` in finalizer.yaml (web_port: 6066), then "
    "from the default. Exit codes: 0 done or stopped cleanly, 1 wrong configuration, 2 wrong usage, 3 a fault that a "
    "restart may cure, 4 fenced by a newer owner, 5 stopped by a safety: a person must decide."
)


class Commands(click.Group):
    """A group that knows the names of its commands, and imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command = importlib.import_module(place.module).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table above, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(__version__, "-V", "--version", prog_name="finalizer", message="%(prog)s %(version)s")
def group() -> None:
    """No span stays open for ever: exactly one terminal record per span, from Kafka to Kafka."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. What a person can act on ends in a sentence on standard error."""
    try:
        code = group.main(arguments, prog_name="finalizer", standalone_mode=False)
    except BaseException as error:
        told = explain(error)
        if told is not None:
            return told
        raise
    return code if isinstance(code, int) else 0
