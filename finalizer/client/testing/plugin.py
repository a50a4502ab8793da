"""The pytest plugin: a fixture that captures. Installed with the package; costs nothing until it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from finalizer.client.testing import Capture


@pytest.fixture
def captured_spans() -> Iterator[Capture]:
    """What is told to `captured_spans.client`; for your app's own client, use `capture(client)` as a block."""
    from finalizer.client.testing import capture  # noqa: PLC0415 - loaded with every pytest, wanted by few

    with capture() as captured:
        yield captured
