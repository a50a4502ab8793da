"""Groups of workers, on this folder's broker."""

from tests.contracts.groups import Groups


class TestGroups(Groups):
    """See the contract."""
