"""The `finalizer` command: what a person types, and the one sentence and exit code that answer a mistake.

It touches terminal, files, environment and clock, starts child processes and calls the rooms below. Never a rule about
spans: those live in `finalizer.core` and `finalizer.policy`.
"""

import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from finalizer.cli.group import run  # noqa: PLC0415 - other code imports this package without click
    except ModuleNotFoundError as missing:
        from finalizer.cli.absent import explained  # noqa: PLC0415 - hardly ever needed

        sys.exit(explained(missing))
    sys.exit(run(sys.argv[1:]))
