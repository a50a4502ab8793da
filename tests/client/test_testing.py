"""What the client gives to the tests of an app."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

from finalizer.client import Client
from finalizer.client.testing import MemorySink, capture

PROJECT = Path(__file__).parent.parent.parent
pytest_plugins = ["pytester"]


def test_an_apps_own_client_is_captured_and_given_back() -> None:
    """Inside of the block nothing leaves the process; after it all is as it was."""
    real = MemorySink()
    client = Client(real, "shop")
    with capture(client) as captured, client.span("checkout", attributes={"items": 3}):
        captured.advance(1)
    assert captured.span("checkout").attributes == {"items": 3}
    assert real.records == []
    client.start_span("after").end()
    assert client.flush(10)
    assert [event["name"] for event in real.events] == ["after", "after"]
    client.close()


def test_a_client_with_a_spool_is_captured_and_given_back(tmp_path: Path) -> None:
    """Nothing of a test reaches the disk, and afterwards the spool is as good as before."""
    real = MemorySink()
    client = Client(real, "shop", spool=tmp_path / "spool.db")
    client.start_span("before").end()
    with capture(client) as captured:
        client.start_span("captured").end()
        assert captured.span("captured").ends == 1
    real.down = True
    client.start_span("after")
    client.flush(0.2)
    client.close(0)
    assert {event["name"] for event in real.events} == {"before"}
    client = Client(real, "shop", spool=tmp_path / "spool.db")
    real.down = False
    assert client.flush(10)
    assert [event["name"] for event in real.events if event["type"] == "end"] == ["before", "after"]
    client.close()


def test_spans_that_were_forgotten_are_named() -> None:
    """`assert_all_ended` says which were begun and never ended."""
    with capture() as captured:
        captured.client.start_span("ended").end()
        captured.assert_all_ended()
        captured.client.start_span("forgotten")
        with pytest.raises(AssertionError, match="begun and never ended: forgotten"):
            captured.assert_all_ended()


def test_a_span_that_is_not_there_is_told_with_those_that_are() -> None:
    """A typing error in a test is found in its message."""
    with capture() as captured:
        captured.client.start_span("upload").end()
        with pytest.raises(AssertionError, match="0 spans are named 'uplaod'; there are upload"):
            captured.span("uplaod")


def test_the_clock_is_the_tests() -> None:
    """Heartbeats and time limits come when the test lets time go by, and at the right moments."""
    with capture() as captured:
        with captured.client.with_timeout(60, "slow"):
            captured.advance(61)
        told = captured.span("slow")
    assert told.kinds.count("heartbeat") in (6, 7)
    assert told.end_unix_nano - told.start_unix_nano == 60_000_000_000


def test_the_fixture_captures(pytester: pytest.Pytester) -> None:
    """A test asks for `captured_spans`, and has a client whose spans it can look at."""
    pytester.makeconftest("from finalizer.client.testing.plugin import captured_spans")
    pytester.makepyfile(
        """
        def test_checkout(captured_spans):
            with captured_spans.client.span("checkout"):
                captured_spans.advance(5)
            captured_spans.assert_all_ended()
            assert captured_spans.span("checkout").kinds == ["start", "end"]
        """
    )
    pytester.runpytest_inprocess("-p", "no:asyncio").assert_outcomes(passed=1)


def test_pytest_finds_the_fixture_by_itself() -> None:
    """The package names the plugin where pytest looks for plugins, and the plugin is there."""
    entry_points = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["entry-points"]
    (plugin,) = entry_points["pytest11"].values()
    assert hasattr(importlib.import_module(plugin), "captured_spans")
