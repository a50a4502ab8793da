"""Which rule a span falls under: the first of which all conditions hold.

Asked for every new span, so answers are kept, keyed by what the rules look at and by nothing else. A span that lacks
what a condition looks at does not fit it, whatever its globs (so `*` means: has one).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from operator import attrgetter

from finalizer.core.model import Subject
from finalizer.core.terms import Terms

OWN_FIELDS = ("name", "span_type", "kind")
"""What a condition may look at by this word; every other word is the name of an attribute."""
RESOURCE, ATTRIBUTES = "resource.", "attributes."

MOST_ANSWERS = 8192
LONGEST_ANSWER = 512
"""Characters. With more of them, what the rules look at is found again each time instead of being kept."""

Look = Callable[[Subject], str | None]
Globs = Mapping[str, Sequence[str]]
_Condition = tuple[int, Callable[[str], object]]


def finder(default: Terms, rules: Iterable[tuple[Globs, Terms]]) -> Callable[[Subject], Terms]:
    """The function from a span to its terms. A rule is its conditions (what to look at -> globs) and its terms."""
    looked_at: dict[str, int] = {}
    compiled: list[tuple[tuple[_Condition, ...], Terms]] = []
    for globs, terms in rules:
        conditions = tuple((looked_at.setdefault(key, len(looked_at)), _fits(any_of)) for key, any_of in globs.items())
        compiled.append((conditions, terms))
    if not looked_at:
        constant = compiled[0][1] if compiled else default
        return lambda _: constant
    looks = tuple(_look(key) for key in looked_at)
    answers: dict[tuple[str | None, ...], Terms] = {}

    def found(seen: tuple[str | None, ...]) -> Terms:
        terms = next((terms for conditions, terms in compiled if _hold(conditions, seen)), default)
        if sum(len(text) for text in seen if text) <= LONGEST_ANSWER:
            if len(answers) >= MOST_ANSWERS:
                answers.clear()
            answers[seen] = terms
        return terms

    def find(subject: Subject) -> Terms:
        seen = tuple([look(subject) for look in looks])
        return answers.get(seen) or found(seen)

    return find


def text_of(value: object) -> str | None:
    """An attribute's value as globs see it: true, false, 3, 0.5; None for lists, maps, bytes and what is not there."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) or (isinstance(value, int) and -(2**64) < value < 2**64):
        return repr(value)
    return None


def _hold(conditions: tuple[_Condition, ...], seen: tuple[str | None, ...]) -> bool:
    return all((text := seen[index]) is not None and fits(text) for index, fits in conditions)


def _fits(globs: Iterable[str]) -> Callable[[str], object]:
    return re.compile("|".join(translate(glob) for glob in globs)).match


def _look(key: str) -> Look:
    if key in OWN_FIELDS:
        return attrgetter(key)
    if key.startswith(RESOURCE):
        return _one(attrgetter("resource"), key.removeprefix(RESOURCE))
    if key.startswith(ATTRIBUTES):
        return _one(attrgetter("attributes"), key.removeprefix(ATTRIBUTES))
    return _resource_then_attribute(key)


def _one(where: Callable[[Subject], Mapping[str, object] | None], key: str) -> Look:
    def look(subject: Subject) -> str | None:
        mapping = where(subject)
        value = None if mapping is None else mapping.get(key)
        return value if value.__class__ is str else text_of(value)

    return look


def _resource_then_attribute(key: str) -> Look:
    def look(subject: Subject) -> str | None:
        mapping = subject.resource
        value = None if mapping is None else mapping.get(key)
        if value is None:
            mapping = subject.attributes
            value = None if mapping is None else mapping.get(key)
        return value if value.__class__ is str else text_of(value)

    return look
