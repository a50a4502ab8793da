"""The demo, end to end: broker, worker and crowd as processes, and how it ends when something gets in its way."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finalizer.cli.demo.spools import spools
from tests.cli.processes import alive, command_of, descendants
from tests.cli.runs import environment, run, start
from tests.waiting import LIMIT_SECONDS, until

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


def line_with(demo: "subprocess.Popen[bytes]", word: bytes) -> bytes:
    """The first line on standard output that holds the word."""
    assert demo.stdout is not None
    for line in demo.stdout:
        if word in line:
            return line
    raise AssertionError(f"it ended without {word!r}")


def worker_of(demo: "subprocess.Popen[bytes]") -> int:
    """The worker that the demo has started."""
    [worker] = [pid for pid in descendants(demo.pid) if re.search(r"^\S+ -m finalizer worker ", command_of(pid))]
    return worker


def apps_of(demo: "subprocess.Popen[bytes]") -> set[int]:
    """The apps of its crowd."""
    return {pid for pid in descendants(demo.pid) if command_of(pid).strip().endswith(" -m finalizer.cli.demo.app")}


def test_it_ends_by_itself_and_all_is_right() -> None:
    """Every span of every client has the final that it should have: nothing wrong, nothing missing, nothing twice."""
    done = subprocess.run(
        [sys.executable, "-m", "finalizer", "demo", "--seconds", "6", "--spans", "200", "--plain"],
        capture_output=True,
        env=environment(),
        timeout=90,
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, out + err
    assert not err
    [total] = [line.split() for line in out.splitlines() if line.split()[:1] == ["all"]]
    assert total == ["all", "200", "200", "0", "0", "0"]
    assert "clients at work: events=" in out
    for cause in ("heartbeat_lost", "no_heartbeat", "restarted", "abandoned", "backgrounded", "partial", "timeout"):
        assert f"{cause}=" in out
    assert "\x1b" not in out


def test_ctrl_c_ends_it_in_good_order() -> None:
    """130, within seconds, and nothing stays behind."""
    with start("demo", "--plain") as demo:
        line_with(demo, b"clients at work")
        family = descendants(demo.pid)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=LIMIT_SECONDS) == 130
        assert demo.stderr is not None
        assert b"Traceback" not in demo.stderr.read()
    assert not alive(family)


@needs_proc
def test_nothing_stays_behind_even_if_it_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL leaves it no time to stop anything; broker, worker and apps end all the same, a frozen one too. The
    spools go with the next demo, and no other file or folder was made."""
    with start("demo", "--plain", env={"TMPDIR": str(tmp_path)}) as demo:
        line_with(demo, b"clients at work")
        family = descendants(demo.pid)
        apps = apps_of(demo)
        assert len(apps) >= 10
        assert len(family - apps) >= 4  # two supervisors, a broker, a worker
        os.kill(apps.pop(), signal.SIGSTOP)
        demo.kill()
        demo.wait(timeout=LIMIT_SECONDS)
        until(lambda: not alive(family))
    assert [one.name[:15] for one in tmp_path.iterdir()] == ["finalizer-demo-"]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with spools() as folder, spools() as another:  # what the next demos do first: the dead one's goes, theirs stay
        assert {one.parent for one in tmp_path.glob("finalizer-demo-*/*.lock")} == {folder, another}


@needs_proc
def test_a_worker_that_dies_is_one_sentence_and_its_last_words() -> None:
    """The demo does not wait for what cannot come any more; 3, since a restart may cure it."""
    with start("demo", "--plain") as demo:
        line_with(demo, b"clients at work")
        os.kill(worker_of(demo), signal.SIGKILL)
        assert demo.wait(timeout=LIMIT_SECONDS) == 3
        assert demo.stderr is not None
        said = demo.stderr.read().decode()
    assert said.startswith("finalizer: The worker ended by itself with exit code 137. Its last words:\n")
    assert "Traceback" not in said


@needs_proc
def test_an_app_that_dies_by_itself_is_one_sentence() -> None:
    """What it did nobody can tell any more, so there is nothing to compare."""
    with start("demo", "--plain") as demo:
        line_with(demo, b"clients at work")
        os.kill(min(apps_of(demo)), signal.SIGKILL)
        assert demo.wait(timeout=LIMIT_SECONDS) == 3
        assert demo.stderr is not None
        assert demo.stderr.read().decode().strip() == (
            "finalizer: An app of the crowd ended by itself with exit code -9."
        )


def test_a_broker_that_cannot_run_is_one_sentence() -> None:
    """Exit code 1: what is missing on this machine a person must bring."""
    ran = run("demo", env={"CALF_TANSU_BIN": "/nowhere/tansu"})
    assert ran.code == 1
    assert ran.sentence.startswith("finalizer: The embedded broker has no binary for this machine.")


def test_settings_for_other_workers_do_not_reach_it() -> None:
    """Whoever has FINALIZER_BROKER set for production can still look at the demo."""
    env = {"FINALIZER_SECURITY_PROTOCOL": "SASL_SSL", "FINALIZER_BROKER": "kafka:9092", "FINALIZER_CONFIG": "/none"}
    with start("demo", "--plain", env=env) as demo:
        line_with(demo, b"clients at work")
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(timeout=LIMIT_SECONDS) == 130
