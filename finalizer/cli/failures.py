"""Failures that a person can act on -> one sentence on standard error and an exit code. Everything else is our bug: its
trace, and the code of a fault. (Python ends with 1 then, which would say that a setting is wrong.)
"""

from __future__ import annotations

import traceback

import click

from finalizer.cli.absent import explained

INTERRUPTED = 130
"""128 + SIGINT, as shells count."""


def explain(error: BaseException) -> int | None:
    """Tell what went wrong and return the exit code; None if somebody ends this process on purpose."""
    match error:
        case click.ClickException():
            error.show()
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED
        case SystemExit(__context__=BrokenPipeError()):
            return 0  # whoever read our output has left (`| head`); click ends so, and has let go of the pipe
        case SystemExit():
            return None
        case ModuleNotFoundError():
            return explained(error)
        case _:
            return _explain_ours(error)


def _explain_ours(error: BaseException) -> int:
    # Imported here: usage errors, the most frequent, are told without loading Kafka.
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    from finalizer.cli.kafka import kafka_stop  # noqa: PLC0415
    from finalizer.embedded import BrokerUnavailable  # noqa: PLC0415
    from finalizer.policy.problems import PolicyError  # noqa: PLC0415
    from finalizer.shell.stop import Exit, Stop  # noqa: PLC0415

    match error:
        case Stop():
            stop = error
        case PolicyError() | BrokerUnavailable():
            stop = Stop(Exit.CONFIGURATION, str(error))
        case KafkaError():
            stop = kafka_stop(error)
        case ConnectionError() | TimeoutError():
            stop = Stop(Exit.FAULT, f"A connection failed: {error!r}")
        case OSError():
            place = "" if error.filename is None else f"{error.filename}: "
            stop = Stop(Exit.CONFIGURATION, f"{place}{error.strerror or error}")
        case _:
            traceback.print_exception(error)
            return int(Exit.FAULT)
    click.echo(f"finalizer: {stop.sentence}", err=True)
    return int(stop.code)
