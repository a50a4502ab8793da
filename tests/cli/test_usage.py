"""What a person meets first: help, wrong usage, wrong settings. One sentence and an exit code each, never a trace."""

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from finalizer.cli import check
from finalizer.cli import group as group_of_commands
from finalizer.cli.group import COMMANDS, Commands, group
from tests.cli.runs import environment, run

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, ""),
        (["--version"], 0, ""),
        ([], 2, "Usage: finalizer"),
        (["sned"], 2, "No such command 'sned'."),
        (["worker", "--brokr", "x"], 2, "No such option: --brokr"),
        (["worker", "--broker", "kafka"], 2, "'kafka' is not host:port."),
        (["worker", "--broker", "kafka:0"], 2, "'kafka:0' is not host:port."),
        (["worker", "--delivery", "twice"], 2, "'twice' is not one of"),
        (["worker", "--web-port", "99999"], 2, "99999 is not in the range"),
        (["worker", "--dry-run", "--instance-id", "a"], 2, "A --dry-run has no place in a group"),
        (["worker", "--config", "nowhere.yaml"], 1, "nowhere.yaml does not exist."),
        (["worker", "--config", "/"], 1, "/ cannot be read: Is a directory."),
        (["worker", "--security-protocol", "SASL_SSL"], 1, "SASL_SSL needs --sasl-username and --sasl-password."),
        (["send", "--sasl-username", "me", "--broker", NOBODY], 1, "SASL settings need --security-protocol SASL_SSL"),
        (["send", "--ssl-cafile", "x", "--broker", NOBODY], 1, "TLS files need --security-protocol SSL"),
        (["send", "--security-protocol", "SSL", "--ssl-cafile", "nix"], 1, "--ssl-cafile nix cannot be used: No such"),
        (["send", "--security-protocol", "SSL", "--ssl-keyfile", "nix"], 1, "--ssl-keyfile needs --ssl-certfile."),
        (["send", "--broker", NOBODY], 3, f"No Kafka broker answers at {NOBODY}"),
        (["send", "nowhere.jsonl"], 2, "File 'nowhere.jsonl' does not exist."),
        (["tail", "--broker", NOBODY], 3, f"No Kafka broker answers at {NOBODY}"),
        (["tail", "everything"], 2, "'everything' is not one of 'finalized', 'dlq', 'rejected'."),
        (["bench", "--loads", "mixed,slow"], 2, "There is no load 'slow'; there are mixed, worst"),
        (["demo", "--spans", "1"], 2, "1 is not in the range"),
        (["demo", "--seconds", "soon"], 2, "'soon' is not a valid float"),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    """1: wrong configuration, 2: wrong usage, 3: a restart may cure it; the sentence says what to look at."""
    ran = run(*arguments, folder=tmp_path)
    assert (ran.code, said in " ".join(ran.sentence.split())) == (code, True), ran


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), 3, "finalizer: A connection failed"),
        (TimeoutError(), 3, "finalizer: A connection failed"),
        (PermissionError(13, "Permission denied", "/x"), 1, "finalizer: /x: Permission denied"),
        (RuntimeError("a bug"), 3, "RuntimeError: a bug"),
        (asyncio.CancelledError(), 3, "CancelledError"),
    ],
)
def test_what_no_setting_can_mend_does_not_end_with_1(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """1 says that a setting is wrong: a connection that broke, or a bug of ours, never ends a command with it."""

    def fails(**_: object) -> None:
        raise error

    monkeypatch.setattr(check.command, "callback", fails)
    with pytest.raises(SystemExit) as ended:
        sys.exit(group_of_commands.run(["check", "--broker", NOBODY]))
    assert ended.value.code == code
    assert said in capsys.readouterr().err


def test_help_answers_at_once() -> None:
    """`finalizer --help` loads no Kafka: it takes no longer than four starts of Python (some 40 ms here)."""

    def seconds(*command: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *command], env=environment(), capture_output=True, check=True)
        return time.perf_counter() - began

    bare = statistics.median(seconds("-c", "import click") for _ in range(5))
    assert statistics.median(seconds("-m", "finalizer", "--help") for _ in range(5)) < 4 * bare


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
    """The summaries stand in a table, so that --help need not load the commands; they are the same all the same."""
    command = Commands().get_command(click.Context(group), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name].summary


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_also_a_variable(name: str) -> None:
    """--web-port is FINALIZER_WEB_PORT, without an exception."""
    command = Commands().get_command(click.Context(group), name)
    assert command is not None
    for one in command.params:
        if isinstance(one, click.Option):
            flag = one.opts[0]
            assert one.envvar == "FINALIZER_" + flag.removeprefix("--").upper().replace("-", "_")
