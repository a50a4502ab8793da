"""Inputs that misbehave, on this folder's broker."""

from tests.contracts.inputs import Inputs


class TestInputs(Inputs):
    """See the contract."""
