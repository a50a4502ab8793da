"""Text -> policy, or all that is wrong with the text at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TypeVar

import msgspec

from finalizer.core.terms import Terms
from finalizer.policy.checks import (
    RuleGiven,
    check_creation,
    check_inputs,
    check_rules,
    check_safety,
    check_terms,
    check_topics,
)
from finalizer.policy.problems import PolicyError, Problem
from finalizer.policy.read import Reader
from finalizer.policy.schema import Input, Policy, Remember, Rule
from finalizer.policy.tree import Unreadable, parse

__all__ = ["Policy", "PolicyError", "Problem", "load"]

_FINGERPRINT_LENGTH = 12
_SECTIONS = ("instances", "outputs", "remember", "safety", "limits", "topics")

Section = TypeVar("Section", bound=msgspec.Struct)


def load(text: str, *, origin: str = "finalizer.yaml") -> Policy:
    """The policy that a YAML text asks for; an empty one asks for the defaults.

    `origin` names the text in messages. Raises `PolicyError`, and nothing else, with every problem there is.
    """
    reader = Reader(Policy)
    try:
        given = reader.read(parse(text))
    except Unreadable as error:
        raise PolicyError((Problem("", error.message, error.line),), origin=origin) from None
    settings = _overlaid(Policy(), {key: given[key] for key in _SECTIONS if key in given})
    default = _overlaid(settings.default, given.get("terms", {}))
    rules = [RuleGiven(one, _overlaid(default, one.get("terms", {}))) for one in given.get("rules", ())]
    inputs = given.get("inputs")
    check_inputs(inputs, reader)
    check_topics(inputs, settings, reader)
    check_terms(default, "terms", reader)
    check_rules(rules, default, reader)
    check_safety(settings.safety, reader)
    check_creation(settings.topics, reader)
    if reader.problems:
        in_order = sorted(reader.problems, key=lambda problem: problem.line or 0)
        raise PolicyError(tuple(in_order), origin=origin)
    if inputs is not None:
        settings = msgspec.structs.replace(settings, inputs=tuple(Input(**one) for one in inputs))
    return _signed(settings, default, rules)


def _signed(settings: Policy, default: Terms, rules: Sequence[RuleGiven]) -> Policy:
    """The policy with terms that carry their rule and the fingerprint."""
    named = [
        Rule(name=one["name"], match=one.get("match", {}), terms=msgspec.structs.replace(terms, rule=one["name"]))
        for one, terms in rules
    ]
    fingerprint = _fingerprint(default, named, settings.remember)

    def signed(terms: Terms) -> Terms:
        return msgspec.structs.replace(terms, policy=fingerprint)

    return msgspec.structs.replace(
        settings,
        default=signed(default),
        rules=tuple(msgspec.structs.replace(rule, terms=signed(rule.terms)) for rule in named),
    )


def _fingerprint(default: Terms, rules: Sequence[Rule], remember: Remember) -> str:
    """Of what verdicts are made of, complete and in a fixed form: how it was written does not count."""
    conditions = [{key: sorted(set(globs)) for key, globs in rule.match.items()} for rule in rules]
    canonical = msgspec.json.encode((default, [rule.terms for rule in rules], conditions, remember), order="sorted")
    return sha256(canonical).hexdigest()[:_FINGERPRINT_LENGTH]


def _overlaid(base: Section, given: Mapping[str, object]) -> Section:
    """The base with the settings that were given, nested ones too."""
    changes = {
        key: _overlaid(getattr(base, key), value) if isinstance(value, dict) else value for key, value in given.items()
    }
    return msgspec.structs.replace(base, **changes) if changes else base
