"""Re-keyed inputs, on this folder's broker."""

from tests.contracts.rekeyed import Rekeyed


class TestRekeyed(Rekeyed):
    """See the contract."""
