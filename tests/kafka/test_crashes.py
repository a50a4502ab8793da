"""Crashes of the worker, on this folder's broker."""

from tests.contracts.crashes import Crashes


class TestCrashes(Crashes):
    """See the contract."""
