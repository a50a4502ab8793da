"""The control topic: who may write to it may have spans closed, but must not be able to stop a worker."""

from __future__ import annotations

import pytest

from finalizer.shell.control import LONGEST_SECONDS, Release, encode, read


def test_a_release_comes_back_as_it_was() -> None:
    """What `finalizer release` writes is what every worker reads."""
    release = Release(release="outage", group="app", for_seconds=60.0, by="me", reason="a test")
    assert read(encode(release)) == release


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"garbage",
        b"{}",
        b'{"release":"all","for_seconds":0}',
        b'{"release":"all","for_seconds":1e999}',
        b'{"release":"all","for_seconds":NaN}',
        b'{"release":"all","for_seconds":%d}' % (LONGEST_SECONDS + 1),
        b'{"release":"all","for_seconds":1,"by":"\xff"}',
        b'{"release":"all","for_seconds":1,"by":"\\ud800"}',
        b'{"release":"all","for_seconds":1,"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
)
def test_what_says_nothing_we_know_is_no_release(value: bytes | None) -> None:
    """It is told in one way, whatever is wrong with it, so that it can be passed by."""
    with pytest.raises(ValueError, match=r"\S"):
        read(value)
