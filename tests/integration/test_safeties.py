"""The safeties, on this folder's broker."""

from tests.contracts.safeties import Safeties


class TestSafeties(Safeties):
    """See the contract."""
