"""`finalizer sim`: figures where nothing is wrong; what to do next where something is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from finalizer.cli.group import run as run_here
from finalizer.cli.sim import trials
from finalizer.sim.making import make_plan
from finalizer.sim.story import from_story, to_story
from finalizer.sim.trial import tried
from tests.cli.processes import alive, descendants
from tests.cli.runs import run
from tests.sim.mutations import watermark_dropped
from tests.waiting import until


def test_worlds_without_fault_end_in_figures_and_0() -> None:
    """How many, how fast, and what was in them."""
    ran = run("sim", "--worlds", "12", "--jobs", "1")
    assert (ran.code, ran.sentence) == (0, "")
    assert re.search(r"^12 worlds, 0 wrong, \d+\.\d worlds/s$", ran.out, re.MULTILINE)
    assert "restores" in ran.out


def test_several_processes_make_the_same_worlds() -> None:
    """However many there are, each seed is tried once."""
    found = {trial.seed: trial for trial in trials(range(5, 35), 2)}
    assert sorted(found) == list(range(5, 35))
    assert found[7] == tried(make_plan(7))


def test_its_processes_end_with_it_however_it_ends() -> None:
    """A killed one leaves nobody behind who waits for work for ever."""
    command = [sys.executable, "-m", "finalizer", "sim", "--worlds", "100000", "--jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        until(lambda: len(descendants(running.pid)) >= 2)
        left = descendants(running.pid)
        running.kill()
    until(lambda: not alive(left))


def test_a_wrong_world_prints_the_command_and_a_story(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit code 1, the command that repeats it, and a story that can be told again from a file."""
    watermark_dropped(monkeypatch)
    seed = next(seed for seed in range(60) if tried(make_plan(seed)).findings)
    assert run_here(["sim", "--seed", str(seed), "--worlds", "1"]) == 1
    out = capsys.readouterr().out
    assert f"again: finalizer sim --seed {seed} --worlds 1" in out
    story = out.partition("FILE):\n\n")[2].partition("\n\nIn them")[0]
    assert from_story(story).seed == seed
    (tmp_path / "story.yaml").write_text(story)
    assert run_here(["sim", "--story", str(tmp_path / "story.yaml")]) == 1
    assert "went back" in capsys.readouterr().out


def test_a_story_is_told_from_a_file(tmp_path: Path) -> None:
    """And what is no story ends in a sentence."""
    story = tmp_path / "story.yaml"
    story.write_text(to_story(make_plan(1)))
    ran = run("sim", "--story", str(story))
    assert (ran.code, ran.out) == (0, "nothing is wrong\n")
    story.write_text("seed: one")
    ran = run("sim", "--story", str(story))
    assert ran.code == 1
    assert ran.sentence.startswith(f"finalizer: {story} is no story: ")
