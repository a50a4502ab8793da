"""The handle of a child process: what the tests and the embedded broker rely on when they end one."""

import os
import sys
import time
from pathlib import Path

import pytest

from finalizer.embedded.child import Child, ChildFailed
from tests.waiting import LIMIT_SECONDS, until

TIDY = """
import signal, sys, time

def tidy(*_):
    with open("{note}", "w") as note:
        note.write("tidy")
    sys.exit()

signal.signal(signal.SIGTERM, tidy)
print("up", flush=True)
time.sleep(600)
"""
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def python(script: str, *, grace: float = 5.0) -> Child:
    """Start a Python script as a child."""
    return Child([sys.executable, "-I", "-S", "-c", script], ENVIRONMENT, grace=grace)


def gone(pid: int) -> bool:
    """Tell whether no process has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_child_that_ignores_sigterm_is_ended_after_its_grace() -> None:
    """`stop` asks first and then insists, so that it always returns and nothing stays behind."""
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    child = python(script, grace=0.2)
    until(lambda: child.tail() == "deaf")
    child.stop()
    assert gone(child.pid)


def test_a_child_may_end_in_good_order_within_its_grace(tmp_path: Path) -> None:
    """The first thing that `stop` sends is SIGTERM, and what the child does then is waited for."""
    note = tmp_path / "note"
    child = python(TIDY.format(note=note))
    until(lambda: child.tail() == "up")
    child.stop()
    assert note.read_text() == "tidy"


def test_a_paused_child_can_still_be_stopped() -> None:
    """A frozen child does not hear SIGTERM; the grace ends, and so does the child."""
    child = python("import time; time.sleep(600)", grace=0.2)
    child.pause()
    child.stop()
    assert gone(child.pid)


def test_kill_leaves_no_time_for_anything(tmp_path: Path) -> None:
    """`kill` is a power cut: a child that would tidy up on SIGTERM does not come to it."""
    note = tmp_path / "note"
    child = python(TIDY.format(note=note))
    until(lambda: child.tail() == "up")
    child.kill()
    assert not child.alive
    assert not note.exists()
    child.stop()


def test_a_program_that_does_not_exist_is_named() -> None:
    """The error repeats what the system says about the file."""
    with pytest.raises(ChildFailed, match=r"^/nowhere/broker: No such file or directory$"):
        Child(["/nowhere/broker"], ENVIRONMENT, grace=1.0)


def test_reading_the_tail_disturbs_nothing_that_is_being_written() -> None:
    """A reader that looks all the time moves no place at which the child goes on to write."""
    lines, width = 50_000, 8
    script = f"import os, time\nfor n in range({lines}): os.write(1, b'%0{width - 1}d\\n' % n)\ntime.sleep(600)"
    child, give_up = python(script), time.monotonic() + LIMIT_SECONDS
    while not child.tail().endswith(f"{lines - 1:0{width - 1}d}"):
        assert time.monotonic() < give_up
    assert os.fstat(child._log.fileno()).st_size == lines * width
    child.stop()
