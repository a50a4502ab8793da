"""Collector configurations that we hand out are ones that a stock collector starts with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collector.binary import cached
from tests.collector.process import complaints
from tests.docs.page import PROJECT, README, code

pytestmark = pytest.mark.skipif(
    not cached().is_file(), reason="no OpenTelemetry collector has been built here: `make collector` does it (Go, once)"
)


@pytest.mark.parametrize("name", ["collector-in.yaml", "collector-out.yaml"])
def test_deployed_configurations_are_accepted(name: str) -> None:
    """No key is misspelt, none has a wrong type, each pipeline has its parts."""
    assert complaints(PROJECT / "deploy" / name) == ""


@pytest.mark.parametrize("text", code(README.read_text(), "yml"))
def test_configurations_on_the_page_are_accepted(text: str, tmp_path: Path) -> None:
    """A collector configuration copied from the README (a `yml` fence; `yaml` is finalizer.yaml) is not refused."""
    file = tmp_path / "config.yaml"
    file.write_text(text)
    assert complaints(file) == ""


def test_a_wrong_configuration_is_seen(tmp_path: Path) -> None:
    """The check that the rules above rest on finds what it is for."""
    file = tmp_path / "config.yaml"
    file.write_text((PROJECT / "deploy" / "collector-in.yaml").read_text().replace("partition_traces_by_id", "by_id"))
    assert "by_id" in complaints(file)
