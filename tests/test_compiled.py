"""Compiled or pure: both do the same, and what runs is never older than the sources that one reads."""

import json
import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import finalizer
from finalizer import pipeline
from finalizer.compiled import MODULES, PACKAGE, SWITCH, WITNESS, Running, SourcesOnly, choose, statement


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of what is compiled, with a witness that speaks the truth."""
    for module in MODULES:
        copy = tmp_path / f"{module}.py"
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(PACKAGE / f"{module}.py", copy)
    (tmp_path / WITNESS).write_text(statement(tmp_path))
    return tmp_path


def test_what_is_told_is_what_runs() -> None:
    """A worker that says `compiled` decides in compiled code; one that does not, in what its maintainer reads."""
    assert finalizer.RUNNING is choose(os.environ)
    assert str(pipeline.__file__).endswith(tuple(EXTENSION_SUFFIXES)) is (finalizer.RUNNING is Running.COMPILED)


def test_modules_made_of_their_sources_are_used(package: Path) -> None:
    """After an install the worker is the fast one, with nothing to ask for."""
    assert choose({}, package) is Running.COMPILED
    assert choose({SWITCH: "0"}, package) is Running.COMPILED


@pytest.mark.parametrize("module", MODULES)
def test_an_edited_source_is_what_runs(package: Path, module: str) -> None:
    """A maintainer who edits any compiled file sees the effect at once: all compiled modules are passed over."""
    with (package / f"{module}.py").open("a") as source:
        source.write("# edited\n")
    assert choose({}, package) is Running.OUTDATED


def test_nobody_vouches_for_modules_without_a_witness(package: Path) -> None:
    """A build that broke off, or one for another interpreter, leaves nothing that is used."""
    (package / WITNESS).write_text(statement(package).replace("cpython", "another"))
    assert choose({}, package) is Running.OUTDATED
    (package / WITNESS).unlink()
    assert choose({}, package) is Running.PURE


def test_pure_python_can_be_asked_for(package: Path) -> None:
    """Whoever doubts the compiled modules runs the sources instead."""
    assert choose({SWITCH: "1"}, package) is Running.PURE
    asked = "import finalizer.pipeline as road; print(road.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", asked], env={**os.environ, SWITCH: "1"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(PACKAGE / "pipeline.py")


def test_sources_are_found_before_what_was_made_of_them(package: Path) -> None:
    """Python itself would take the compiled module that lies beside its source."""
    finder = SourcesOnly()
    (package / f"pipeline{EXTENSION_SUFFIXES[0]}").touch()
    found = finder.find_spec("finalizer.pipeline", [str(package)])
    assert found is not None
    assert found.origin == str(package / "pipeline.py")
    assert finder.find_spec("json.decoder", json.__path__) is None


@pytest.mark.parametrize("running", Running)
def test_each_of_them_says_what_it_means(running: Running) -> None:
    """Whoever installs or runs it is told in a sentence."""
    assert running.sentence.endswith(".")
