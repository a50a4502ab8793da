"""`finalizer release`: what it refuses, in one sentence. What it brings about is a contract of the worker's."""

import pytest

from tests.cli.runs import run
from tests.ports import free_port


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument"),
        (("everything",), "is not one of 'outage', 'breaker', 'all'"),
        (("outage", "--for", "15"), "has no unit"),
        (("outage", "--for", "2d"), "is not a duration"),
        (("outage", "--for", "100ms"), "1s or more is needed"),
        (("outage", "--for", "25h"), "24h or less is needed"),
        (("breaker", "--group", "app"), "--group belongs to an outage"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(arguments: tuple[str, ...], said: str) -> None:
    """Wrong usage: exit 2, and what would be right."""
    ran = run("release", *arguments)
    assert ran.code == 2
    assert said in ran.sentence


def test_no_broker() -> None:
    """Nobody answers: exit 3, and nothing hangs."""
    ran = run("release", "all", "--broker", f"127.0.0.1:{free_port()}")
    assert ran.code == 3
    assert "No Kafka broker answers" in ran.sentence


def test_an_app_id_that_never_ran(embedded_broker: str) -> None:
    """A typing error in --app-id releases nothing in silence: there is no such control topic, and none is made."""
    ran = run("release", "all", "--broker", embedded_broker, "--app-id", "span-finaliser")
    assert ran.code == 1
    assert "no topic span-finaliser-control" in ran.sentence
