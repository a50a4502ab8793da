"""The watch of a partition, as the policy asks for it: what it says of all partitions, each has its part of."""

from __future__ import annotations

from finalizer.codecs.description import describe
from finalizer.core.crowd import Crowd
from finalizer.core.safety import Breaker, GroupOf, Outages, Releases, TermsOf
from finalizer.core.spans import Spans
from finalizer.core.state import State
from finalizer.core.watch import Watch
from finalizer.policy.schema import Policy

_LONGEST_VALUE = 100
_FEWEST = 3


def watch_of(
    policy: Policy, spans: Spans, *, terms_of: TermsOf, partitions: int = 1, releases: Releases | None = None
) -> Watch:
    """The watch of one of so many partitions; `releases` are those of its worker."""
    outage, breaker, limits = policy.safety.outage, policy.safety.breaker, policy.limits
    released = releases or Releases()
    return Watch(
        spans,
        outages=Outages(
            window=outage.window,
            least=_least(outage.min_spans, partitions),
            below=outage.below,
            until=outage.until,
            max_pause=outage.max_pause,
            releases=released,
        ),
        breaker=Breaker(
            window=breaker.window,
            least=_least(breaker.min_spans, partitions),
            max_share=breaker.max_share,
            releases=released,
        ),
        crowd=Crowd(
            spans,
            max_spans=None if limits.open_spans is None else max(1, limits.open_spans // partitions),
            max_bytes=max(1, limits.bytes // partitions),
        ),
        terms_of=terms_of,
        group_of=_grouped(outage.group_by),
    )


def _grouped(names: tuple[str, ...]) -> GroupOf:
    """Whose outage would be a span's: the values of these resource attributes, as `release --group` takes them."""

    def group_of(state: State) -> str:
        resource = describe(state.layers).resource
        return "/".join(str(resource.get(name, ""))[:_LONGEST_VALUE] for name in names)

    return group_of if names else lambda _: ""


def _least(spans: int, partitions: int) -> int:
    """A partition's part of a least number of spans, since keys are spread by hash. Two or less say nothing."""
    return max(-(-spans // partitions), min(spans, _FEWEST))
