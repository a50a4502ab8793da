"""Which terms a span has: the first rule of which all conditions hold, else the default ones."""

import tracemalloc
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finalizer.core.model import Subject
from finalizer.core.terms import Terms
from finalizer.policy.load import load
from finalizer.policy.rules import LONGEST_ANSWER, MOST_ANSWERS, finder
from tests.policy.written import FULL, Span


def rule_of(match: str, span: Subject) -> str:
    """The rule that a span falls under, where there is one with this match."""
    return load(f"rules: [{{name: hit, match: {{{match}}}}}]").terms_for(span).rule


@pytest.mark.parametrize(
    ("match", "span"),
    [
        ("name: upload", Span(name="upload")),
        ("name: 'up*'", Span(name="upload\nof a file")),
        ("span_type: '[ud]*load'", Span(span_type="download")),
        ("kind: client", Span(kind="client")),
        ("kind: '*r'", Span(kind="server")),
        ("service.name: 'mobile-*'", Span(resource={"service.name": "mobile-app"})),
        ("service.name: 'mobile-*'", Span(attributes={"service.name": "mobile-app"})),
        ("service.name: a", Span(resource={"service.name": "a"}, attributes={"service.name": "b"})),
        ("resource.x: a", Span(resource={"x": "a"}, attributes={"x": "b"})),
        ("attributes.x: b", Span(resource={"x": "a"}, attributes={"x": "b"})),
        ("attributes.name: b", Span(name="a", attributes={"name": "b"})),
        ("x: [a, 'b*', c]", Span(attributes={"x": "bcd"})),
        ("x: '*'", Span(attributes={"x": ""})),
        ("x: ''", Span(attributes={"x": ""})),
        ("x: 3", Span(attributes={"x": 3})),
        ("x: '3'", Span(attributes={"x": 3})),
        ("x: 3", Span(attributes={"x": "3"})),
        ("x: 0.5", Span(attributes={"x": 0.5})),
        ("x: '5??'", Span(attributes={"x": 503})),
        ("x: true", Span(attributes={"x": True})),
        ("x: True", Span(attributes={"x": True})),
        ("x: false", Span(attributes={"x": "false"})),
        ("x: NO", Span(attributes={"x": "NO"})),
        ("x: 010", Span(attributes={"x": "010"})),
        ("name: a, x: b", Span(name="a", attributes={"x": "b"})),
    ],
)
def test_a_rule_matches(match: str, span: Span) -> None:
    """Own fields by their word, every other word as resource attribute, then span attribute; values by their text."""
    assert rule_of(match, span) == "hit"


@pytest.mark.parametrize(
    ("match", "span"),
    [
        ("name: upload", Span(name="uploads")),
        ("name: upload", Span(name="Upload")),
        ("name: '*'", Span()),
        ("x: '*'", Span()),
        ("x: '*'", Span(resource=None, attributes=None)),
        ("x: '*'", Span(attributes={"x": None})),
        ("x: '*'", Span(attributes={"x": ["a"]})),
        ("x: '*'", Span(attributes={"x": b"a"})),
        ("x: '*'", Span(attributes={"x": 10**5000})),
        ("service.name: b", Span(resource={"service.name": "a"}, attributes={"service.name": "b"})),
        ("resource.x: b", Span(attributes={"x": "b"})),
        ("attributes.x: a", Span(resource={"x": "a"})),
        ("resource.x: a", Span(resource=None)),
        ("x: 1", Span(attributes={"x": True})),
        ("x: 1", Span(attributes={"x": 1.0})),
        ("x: '[z-a]'", Span(attributes={"x": "m"})),
        ("name: a, x: b", Span(name="a")),
        ("name: a, x: b", Span(attributes={"x": "b"})),
    ],
)
def test_a_rule_does_not_match(match: str, span: Span) -> None:
    """All conditions must hold, upper and lower case differ, and what a span does not have fits no glob."""
    assert rule_of(match, span) == "default"


def test_the_first_match_wins() -> None:
    """A span that two rules match has the terms of the one that stands first."""
    policy = load("rules: [{name: one, match: {name: 'a*'}}, {name: two, match: {name: '*b'}}, {name: rest}]")
    rules = [policy.terms_for(Span(name=name)).rule for name in ("ab", "b", "a", "c")]
    assert rules == ["one", "two", "one", "rest"]


def test_answers_do_not_mix_up_values_that_are_equal_in_python() -> None:
    """1, True and 1.0 are one key of a dict and three values of an attribute, in whatever order they come."""
    policy = load("rules: [{name: t, match: {x: true}}, {name: i, match: {x: 1}}, {name: f, match: {x: 1.0}}]")
    for _ in range(2):
        assert [policy.terms_for(Span(attributes={"x": x})).rule for x in (1, True, 1.0, "1")] == ["i", "t", "f", "i"]


def test_terms_are_found_by_the_name_of_their_rule() -> None:
    """A state keeps the name of its rule and not its terms."""
    policy = load(FULL)
    assert policy.named["uploads"] is policy.rules[0].terms
    assert policy.named["default"] is policy.default
    assert policy.terms_for(Span(span_type="upload", resource={"service.name": "mobile-x"})) is policy.rules[0].terms
    with pytest.raises(KeyError):
        policy.named["no-such-rule"]


@pytest.mark.parametrize(
    ("text", "looks"), [("", False), ("rules: [{name: all}]", False), ("rules: [{name: a, match: {x: y}}]", True)]
)
def test_a_policy_says_whether_it_looks_at_spans(text: str, looks: bool) -> None:
    """Where every span has the same terms nobody needs to describe it."""
    policy = load(text)
    assert policy.looks_at_bodies is looks
    assert policy.terms_for(Span()) is (policy.default if not policy.rules or looks else policy.rules[0].terms)


WORDS = st.text(alphabet="ab1", max_size=3)
GLOBS = st.text(alphabet="ab1*?[]!-^\\.", max_size=5)
CONDITIONS = st.dictionaries(st.sampled_from(["name", "span_type", "x", "resource.x", "attributes.x"]), st.lists(GLOBS))
MAPPINGS = st.none() | st.dictionaries(st.just("x"), WORDS | st.booleans() | st.integers(0, 11))
SPANS = st.builds(Span, name=st.none() | WORDS, span_type=st.none() | WORDS, resource=MAPPINGS, attributes=MAPPINGS)


def plainly_looked_up(key: str, span: Span) -> object:
    """What a condition looks at, spelled out."""
    resource, attributes = dict(span.resource or {}), dict(span.attributes or {})
    spelled = {
        "name": span.name,
        "span_type": span.span_type,
        "resource.x": resource.get("x"),
        "attributes.x": attributes.get("x"),
        "x": resource.get("x", attributes.get("x")),
    }
    return spelled[key]


def plainly_found(rules: list[dict[str, list[str]]], span: Span) -> str:
    """The first rule of which all conditions hold, by the words of the design and fnmatch alone."""
    for index, match in enumerate(rules):
        seen = {key: plainly_looked_up(key, span) for key in match}
        texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in seen.items()}
        if all(seen[key] is not None and any(fnmatchcase(texts[key], glob) for glob in match[key]) for key in match):
            return str(index)
    return "default"


@given(st.lists(CONDITIONS, max_size=4), st.lists(SPANS, max_size=6))
def test_answers_are_those_of_a_plain_search(rules: list[dict[str, list[str]]], spans: list[Span]) -> None:
    """For every order of rules, every glob and every span, asked once or twice."""
    find = finder(
        Terms(), [(match, Terms(rule=str(index))) for index, match in enumerate(rules) if all(match.values())]
    )
    kept = [match if all(match.values()) else {"name": [""], "x": []} for match in rules]
    for span in spans * 2:
        assert find(span).rule == plainly_found(kept, span)


def test_what_is_kept_is_bounded() -> None:
    """Names that never come again, and values of any length, do not fill the memory."""
    find = finder(Terms(), [({"name": ["*7"]}, Terms(rule="seven"))])
    tracemalloc.start()
    try:
        for number in range(3 * MOST_ANSWERS):
            assert (find(Span(name=f"{number:0{LONGEST_ANSWER}}")).rule == "seven") is (number % 10 == 7)
        for number in range(300):
            find(Span(name=f"{number:0{100_000}}"))
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 1.5 * MOST_ANSWERS * LONGEST_ANSWER


def test_no_glob_makes_an_answer_slow_or_fails() -> None:
    """Many stars on a long value end at once, and an odd bracket is only a character."""
    assert rule_of(f"x: '{'*a' * 30}b'", Span(attributes={"x": "a" * 5000})) == "default"
    assert rule_of("x: '['", Span(attributes={"x": "["})) == "hit"
