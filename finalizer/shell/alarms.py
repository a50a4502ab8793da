"""What the safeties of a partition have to tell a person: an event of the log each, with what to do."""

from __future__ import annotations

from collections.abc import Iterable

from finalizer.core.safety import Happened, News
from finalizer.policy.quantities import duration_text
from finalizer.policy.schema import Safety
from finalizer.shell import logs

log = logs.get("safety")

_ALARMS = frozenset({Happened.OUTAGE_OVERRULED, Happened.BREAKER_TRIPPED})
"""What a person must look at. An outage of some seconds passes by itself; for longer ones there is the metric."""


def tell(news: Iterable[News], *, partition: int, app_id: str, safety: Safety) -> None:
    """Log it."""
    for one in news:
        say = log.error if one.what in _ALARMS else log.warning
        sentence = _sentence(one, app_id, safety)
        if one.group:
            say(one.what.value, sentence, partition=partition, group=one.group)
        else:
            say(one.what.value, sentence, partition=partition)


def _sentence(one: News, app_id: str, safety: Safety) -> str:
    outage, breaker = safety.outage, safety.breaker
    match one.what:
        case Happened.OUTAGE_SUSPECTED:
            named = f" --group '{one.group}'" if one.group else ""
            return (
                f"only {one.part} of {one.whole} heartbeats came that open spans of this group owed: an outage on the "
                f"way is suspected, and none of them is closed for want of hearing until {outage.until:g} of them "
                f"come, or for {duration_text(outage.max_pause)}. Look at the road from these clients to Kafka. If "
                f"they are dead: finalizer release outage --app-id {app_id}{named}"
            )
        case Happened.OUTAGE_OVER:
            return (
                f"{one.part} of {one.whole} heartbeats come again, or too few spans are open to tell: the group's "
                "patience goes on"
            )
        case Happened.OUTAGE_OVERRULED:
            return (
                f"released, or suspected for max_pause; {one.part} of {one.whole} heartbeats came: the group's silent "
                "spans are closed now, and their finals carry span_finalizer.outage_suspected"
            )
        case Happened.BREAKER_TRIPPED:
            return (
                f"{one.part} of {one.whole} open spans were closed by inference within "
                f"{duration_text(breaker.window)}, and more are due: nothing more is closed on this partition until "
                "somebody has looked, at what was closed (finalizer tail dlq) and what was changed. If it is right: "
                f"finalizer release breaker --app-id {app_id}"
            )
        case Happened.BREAKER_RELEASED:
            return "closing goes on"
