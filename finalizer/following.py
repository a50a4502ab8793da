"""Which frames are taken: those that go on where the last one ended, and none once reading has stopped.

Frames are on their way while a partition is left, restored or sought. One that is taken behind a dropped one would be
decided in its place, and what was dropped be lost.
"""

from __future__ import annotations

from collections.abc import Iterable


class Hole(Exception):
    """Records are missing between two frames: what reads them must begin anew, never go over it."""


class Following:
    """The frames of some topics of one partition, in the order in which they come."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._expected: dict[str, int | None] = dict.fromkeys(topics)
        self._reads = True

    def read_on(self) -> None:
        """Frames are read anew, from behind what is decided."""
        self._expected = dict.fromkeys(self._expected)
        self._reads = True

    def stop(self) -> None:
        """What waits is dropped: nothing that comes behind it is taken, until it is read anew."""
        self._reads = False

    def follows(self, topic: str, *, begin: int, end: int, decided: int) -> bool:
        """True if a frame (positions before and after its poll) goes on where the last one ended, or repeats it.

        False: it was polled before the seek, and the frame that was sought for follows; or reading has stopped. Raises
        `Hole`, once: whatever comes behind it is not taken.
        """
        if not self._reads:
            return False
        expected, following = self._expected[topic], decided + 1
        if expected is None:
            if begin > following:
                return False
        elif begin > expected:
            self.stop()  # the next one would find the same hole
            raise Hole(f"{topic}: expected offset {expected}, the frame begins at {begin}")
        # Not less than what is sought: a frame from before the seek may end before it.
        self._expected[topic] = max(end, expected or 0, following)
        return True
