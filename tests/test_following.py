"""Which frames are taken, where frames are on their way while reading stops."""

from __future__ import annotations

import pytest

from finalizer.following import Following, Hole


def test_what_comes_behind_a_dropped_frame_is_not_taken() -> None:
    """It would be decided in its place; both are read anew."""
    frames = Following(["a", "b"])
    assert frames.follows("a", begin=0, end=5, decided=-1)
    frames.stop()
    assert not frames.follows("a", begin=5, end=9, decided=-1)
    assert not frames.follows("b", begin=0, end=1, decided=-1)
    frames.read_on()
    assert not frames.follows("a", begin=5, end=9, decided=-1)
    assert frames.follows("a", begin=0, end=9, decided=-1)


def test_a_hole_is_told_once() -> None:
    """Frames behind it would find the same one, and two doubts within a minute stop a worker."""
    frames = Following(["a"])
    assert frames.follows("a", begin=0, end=5, decided=-1)
    with pytest.raises(Hole, match="expected offset 5, the frame begins at 6"):
        frames.follows("a", begin=6, end=9, decided=-1)
    assert not frames.follows("a", begin=9, end=10, decided=-1)
