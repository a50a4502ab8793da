"""Brokers that tests run on: what a test may know about the one it was given."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker, and what it can do. A test that needs more than a broker has says so by these fields."""

    bootstrap: str
    """``host:port`` for ``bootstrap_servers``."""
    has_transactions: bool
    """Idempotent and transactional producers work."""
    honours_log_append_time: bool
    """``message.timestamp.type=LogAppendTime`` stamps records, and produce answers carry the broker's time."""
    copies: int = 1
    """Of each topic."""
