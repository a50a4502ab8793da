"""The fingerprint stands for what verdicts are made of, however it was written."""

import re

import pytest

from finalizer.policy.load import load

BASE = """\
terms: {silence: 1h, heartbeat: {misses: 4}}
rules:
- {name: a, match: {x: [p, q], name: n}, terms: {max_duration: 10m}}
- {name: b, match: {y: r}}
remember: {presumed: 24h}
"""


@pytest.mark.parametrize(
    "text",
    [
        f"# a comment\n{BASE}",
        BASE.replace("{silence: 1h, heartbeat: {misses: 4}}", "{heartbeat: {misses: 4}, silence: 60m}"),
        BASE.replace("{x: [p, q], name: n}", "{name: [n], x: [q, 'p', q]}"),
        BASE.replace("terms: {max_duration: 10m}", "terms: {max_duration: 10m, silence: 1h}"),
        BASE.replace("remember: {presumed: 24h}\n", ""),
        "remember: {presumed: 24h}\n" + BASE.replace("remember: {presumed: 24h}\n", ""),
        BASE
        + "safety: {settle: 20s}\ninputs: [{topic: other}]\ntopics: {partitions: 9}\n"
        + "outputs: {rejected: {over: 5}}\n",
    ],
)
def test_the_same_verdicts_have_the_same_fingerprint(text: str) -> None:
    """Order of keys, comments, quotes, units, defaults spelled out, and settings that decide nothing do not count."""
    assert text != BASE
    assert load(text).fingerprint == load(BASE).fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("silence: 1h", "silence: 2h"),
        ("misses: 4", "misses: 5"),
        ("max_duration: 10m", "max_duration: 11m"),
        ("name: a", "name: c"),
        ("[p, q]", "[p]"),
        ("x: [p", "resource.x: [p"),
        (", name: n", ""),
        ("presumed: 24h", "presumed: 23h"),
        ("- {name: b, match: {y: r}}\n", ""),
    ],
)
def test_other_verdicts_have_another_fingerprint(old: str, new: str) -> None:
    """Terms, rules and what is remembered decide verdicts."""
    assert old in BASE
    assert load(BASE.replace(old, new)).fingerprint != load(BASE).fingerprint


def test_the_order_of_rules_counts() -> None:
    """The first match wins, so another order is another policy."""
    first, second = (f"- {{name: {name}, match: {{x: '{name}*'}}}}\n" for name in "ab")
    assert load(f"rules:\n{first}{second}").fingerprint != load(f"rules:\n{second}{first}").fingerprint


def test_the_fingerprint_goes_with_all_terms() -> None:
    """12 hex characters, on the default terms and on those of each rule."""
    policy = load(BASE)
    assert re.fullmatch(r"[0-9a-f]{12}", policy.fingerprint)
    assert {terms.policy for terms in (policy.default, *(rule.terms for rule in policy.rules))} == {policy.fingerprint}
