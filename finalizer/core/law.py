"""The law: one total table, phase x what happened. No transition lives anywhere else.

Rules of reading
1. A row is the phase a span is in, a column what just happened to it, a cell the phase it goes to and the act on the
   way.
2. The column is chosen by what has been *established*, not by the name of the record: an end that carries its start
   is an `END`; a start for which an end was already waiting is an `END`, too.
3. An act may decline (`PRESUME`: the deadline has moved; `REVISE`: the end does not count). Then the phase stays.
4. An end outranks everything; a reported final is never replaced by a presumed one; evidence after a final never
   re-opens its span. `PRESUMED x START` opens only because no final was written: the span was a dead letter
   `missing_start`.
"""

from __future__ import annotations

from enum import Enum, IntEnum

from finalizer.core.model import Phase


class Happened(IntEnum):
    """The columns: what a piece of evidence, joined with what was known, establishes."""

    START = 0
    """The start became known."""
    ALIVE = 1
    """A heartbeat, a lifecycle record, or a start that was known already."""
    END = 2
    """Start and end are both known."""
    ORPHAN_END = 3
    """An end is known, its start is not."""
    DUE = 4
    """The timer says that a deadline may have passed, or that memory is full."""


class Act(Enum):
    """What is done on the way from one phase to the next."""

    FOLD = "join the evidence into the state"
    SEAL = "write the reported final, made of what was heard until now"
    PRESUME = "write a presumed final, if a deadline has passed"
    KEEP = "keep the evidence and count it as late; no final"
    REVISE = "write the next revision, if this end counts"
    ABSORB = "nothing: it says nothing new"
    FORGET = "drop what is remembered"


_U, _O, _P, _F = Phase.UNSEEN, Phase.OPEN, Phase.PRESUMED, Phase.FINISHED

Cell = tuple[Phase, Act]

LAW: tuple[tuple[Cell, ...], ...] = (
    #            START             ALIVE             END               ORPHAN_END        DUE
    # UNSEEN
    ((_O, Act.FOLD), (_O, Act.FOLD), (_F, Act.SEAL), (_O, Act.FOLD), (_U, Act.ABSORB)),
    # OPEN
    ((_O, Act.FOLD), (_O, Act.FOLD), (_F, Act.SEAL), (_O, Act.FOLD), (_P, Act.PRESUME)),
    # PRESUMED
    ((_O, Act.FOLD), (_P, Act.KEEP), (_F, Act.REVISE), (_P, Act.KEEP), (_U, Act.FORGET)),
    # FINISHED
    ((_F, Act.ABSORB), (_F, Act.ABSORB), (_F, Act.REVISE), (_F, Act.REVISE), (_U, Act.FORGET)),
)
"""`LAW[phase][happened]`: where the span goes, and what is done on the way."""
