"""Where no collector can be built, one sentence says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.brokers.test_jars import stand_in
from tests.collector import binary
from tests.collector.binary import CollectorUnavailable


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.mark.usefixtures("path")
def test_without_go_it_says_which_one_to_install() -> None:
    """No Go on the PATH is one sentence, and no trace, from `make collector` too."""
    sentence = "The collector is built with Go 1.25 or newer, and there is none on the PATH."
    with pytest.raises(CollectorUnavailable, match=sentence):
        binary.otelcol()
    done = subprocess.run([sys.executable, "-m", "tests.collector.binary"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"{sentence}\n"


def test_a_go_that_is_too_old_is_named(path: Path) -> None:
    """The sentence says which Go was found, where, and what is needed."""
    stand_in(path, "go", "echo go1.19.8")
    with pytest.raises(CollectorUnavailable, match=r"Go 1\.25 or newer, and .*/bin/go is go1\.19\.8\.$"):
        binary.otelcol()


def test_a_build_that_failed_leaves_nothing_in_the_cache(path: Path) -> None:
    """What the builder says is repeated, and the next try starts from nothing."""
    stand_in(path, "go", '[ "$1" = env ] && echo go1.26.0 && exit; echo "no route to the proxy" >&2; exit 1')
    with pytest.raises(CollectorUnavailable, match=r"could not be built: no route to the proxy$"):
        binary.otelcol()
    assert not binary.cached().exists()


def test_all_versions_of_the_recipe_belong_together() -> None:
    """One collector release: its parts, its builder, and the images in docker-compose.yml."""
    parts = [line.split()[-1] for line in binary.RECIPE.read_text().splitlines() if "gomod:" in line]
    released = {one for one in parts if one.startswith("v0.")}
    assert released == {f"v{binary.version()}"}
    compose = (binary.RECIPE.parent.parent.parent / "docker-compose.yml").read_text()
    assert compose.count(f"image: otel/opentelemetry-collector-contrib:{binary.version()}\n") == 2
