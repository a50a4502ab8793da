"""State that does not fit, on this folder's broker."""

from tests.contracts.mismatches import Mismatches


class TestMismatches(Mismatches):
    """See the contract."""
