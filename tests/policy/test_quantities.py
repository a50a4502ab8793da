"""Durations in nanoseconds, sizes in bytes: written with their unit, or refused with a word on what is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finalizer.core.terms import HOUR, MINUTE, SECOND
from finalizer.policy.quantities import LONGEST, MILLISECOND, duration, duration_or_off, size
from finalizer.policy.tree import Scalar
from finalizer.policy.values import Refused


def scalar(text: object) -> Scalar:
    """A value as it stands in a file, without quotes."""
    return Scalar(str(text), plain=True, line=1)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("250ms", 250 * MILLISECOND),
        ("30s", 30 * SECOND),
        ("5m", 5 * MINUTE),
        ("24h", 24 * HOUR),
        ("1h30m", 90 * MINUTE),
        ("1h2m3s4ms", HOUR + 2 * MINUTE + 3 * SECOND + 4 * MILLISECOND),
        ("90s", 90 * SECOND),
        ("1m500ms", MINUTE + 500 * MILLISECOND),
        ("0s", 0),
        ("87600h", LONGEST),
    ],
)
def test_a_duration_is_number_and_unit(text: str, nanoseconds: int) -> None:
    """Units may be joined, the longer first."""
    assert duration(least=0).read(scalar(text)) == nanoseconds


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("30", "has no unit"),
        ("0", "has no unit"),
        ("1.5", "has no unit"),
        ("-5", "has no unit"),
        ("-5s", "it is never negative"),
        ("1.5h", "write 250ms, 30s, 5m, 24h or 1h30m"),
        ("7d", "is not a duration"),
        ("30 s", "is not a duration"),
        ("30S", "is not a duration"),
        ("30m1h", "is not a duration"),
        ("1h1h", "is not a duration"),
        ("s", "is not a duration"),
        ("٣s", "is not a duration"),
        ("30s\n", "is not a duration"),
        ("0s", "1ms or more is needed, not 0s"),
        ("999999999h", "87600h or less is needed"),
        ("9" * 5000 + "s", "is not a duration"),
    ],
)
def test_what_is_no_duration_is_told_why(text: str, part: str) -> None:
    """A bare number never passes: nobody knows which unit was meant."""
    with pytest.raises(Refused, match=part):
        duration().read(scalar(text))


@given(st.integers(min_value=0, max_value=LONGEST // MILLISECOND).map(lambda count: count * MILLISECOND))
def test_a_duration_reads_back_as_it_is_shown(nanoseconds: int) -> None:
    """Messages and the configuration table show durations that could be pasted into the file."""
    kind = duration(least=0)
    assert kind.read(scalar(kind.written(nanoseconds))) == nanoseconds


@pytest.mark.parametrize("text", ["off", "false"])
def test_off_is_none_where_it_is_allowed(text: str) -> None:
    """Some readers of YAML take `off` for false; to a duration that can be off both are the same."""
    assert duration_or_off().read(scalar(text)) is None
    with pytest.raises(Refused):
        duration().read(scalar(text))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("512MiB", 512 * 2**20),
        ("10MB", 10_000_000),
        ("1048576", 2**20),
        ("2GiB", 2 * 2**30),
        ("1TB", 10**12),
        ("4096KiB", 4 * 2**20),
    ],
)
def test_a_size_is_bytes_or_number_and_unit(text: str, amount: int) -> None:
    """`MiB` counts in powers of 1024, `MB` in powers of 1000."""
    assert size(least=2**20).read(scalar(text)) == amount


@pytest.mark.parametrize("text", ["512Mb", "512M", "512 MiB", "1.5GiB", "-1MiB", "MiB", "9" * 5000, "0", "1023KiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """Also one below the least that makes sense."""
    with pytest.raises(Refused):
        size(least=2**20).read(scalar(text))


@given(st.integers(min_value=1, max_value=10**15 - 1))
def test_a_size_reads_back_as_it_is_shown(amount: int) -> None:
    """Messages and the configuration table show sizes that could be pasted into the file."""
    kind = size(least=1)
    assert kind.read(scalar(kind.written(amount))) == amount
