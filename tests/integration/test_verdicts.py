"""The right verdict, on this folder's broker."""

from tests.contracts.verdicts import Verdicts


class TestVerdicts(Verdicts):
    """See the contract."""
