"""`finalizer check`: all problems at once, and nothing changed."""

import asyncio
import socket
from pathlib import Path

import pytest

from finalizer.cli.check import command
from finalizer.cli.options import Written
from finalizer.client.spool.spool import TTL
from finalizer.policy.quantities import duration_or_off
from tests.cli.runs import run, start
from tests.traffic import create_topics
from tests.waiting import LIMIT_SECONDS


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Options, policy and broker in one numbered list."""
    (tmp_path / "finalizer.yaml").write_text("worker: {nonsense: 1}\nterms: {silence: soon}\n")
    ran = run("check", "--broker", "127.0.0.1:1", folder=tmp_path)
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert lines[0] == "3 problems:"
    assert lines[1].startswith("1. finalizer.yaml:1: worker.nonsense: no such option")
    assert lines[2].startswith("2. finalizer.yaml:2: terms.silence: ")
    assert lines[3].startswith("3. ")
    assert "127.0.0.1:1" in lines[3]
    assert not ran.err


@pytest.mark.parametrize(
    ("file", "flags", "told"),
    [
        ("remember: {presumed: 1h}", [], ["remember.presumed is 1h, ", " for 24h: "]),
        ("remember: {presumed: 1h}", ["--spool-ttl", "90m"], ["remember.presumed is 1h, ", " for 1h30m: "]),
        ("remember: {presumed: 1h}\nworker: {spool_ttl: 2h}", [], [" for 2h: "]),
        ("remember: {presumed: 1h}", ["--spool-ttl", "1h"], []),
        ("remember: {presumed: 1h}\nworker: {spool_ttl: off}", [], []),
        ("", [], []),
        ("", ["--spool-ttl", "48h"], ["remember.presumed is 24h, ", " for 48h: "]),
    ],
)
def test_no_spool_keeps_longer_than_the_worker_remembers(
    file: str, flags: list[str], told: list[str], tmp_path: Path
) -> None:
    """An end that comes when its span is forgotten would make a second final; unsaid, spools keep what ours do."""
    (tmp_path / "finalizer.yaml").write_text(file)
    ran = run("check", "--broker", "127.0.0.1:1", *flags, folder=tmp_path)
    problems = ran.out.splitlines()[1:]
    assert len(problems) == 1 + bool(told)  # that nobody answers is one
    for part in told:
        assert part in problems[0]


def test_the_time_that_spools_keep_is_a_duration() -> None:
    """It is read as in finalizer.yaml, and its default is that of our spool."""
    assert '"90" has no unit' in run("check", "--spool-ttl", "90").sentence
    assert Written(duration_or_off()).convert("24h", None, None) == TTL.total_seconds() * 1e9
    [default] = [one.default for one in command.params if one.name == "spool_ttl"]
    assert default == "24h"


def test_a_broker_that_never_answers_is_given_up_within_seconds() -> None:
    """A port that takes connections and says nothing (a firewall, another program) is no hang: each ends by itself."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        running = [start(command, "--broker", address) for command in ("check", "send", "tail", "worker")]
        ended = [(process.wait(timeout=LIMIT_SECONDS), process.communicate()) for process in running]
    assert [code for code, _ in ended[:3]] == [1, 3, 3]
    assert ended[3][0] != 0
    for _, (out, err) in ended:
        assert address in (out + err).decode()
        assert b"Traceback" not in err


def test_what_is_wrong_with_the_topics_is_told(embedded_broker: str, tmp_path: Path) -> None:
    """Inputs of one worker must have equal numbers of partitions: the sentence tells how many each has."""
    asyncio.run(create_topics(embedded_broker, "check.one", partitions=2))
    asyncio.run(create_topics(embedded_broker, "check.other", partitions=3))
    (tmp_path / "finalizer.yaml").write_text("inputs:\n  - {topic: check.one}\n  - {topic: check.other}\n")
    ran = run("check", "--broker", embedded_broker, folder=tmp_path)
    assert ran.code == 1
    assert "check.one has 2" in ran.out
    assert "check.other has 3" in ran.out
