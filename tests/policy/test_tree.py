"""Whatever the text: a policy or a PolicyError, within bounds."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.policy.load import Policy, PolicyError, load
from finalizer.policy.tree import MOST_CHARACTERS, MOST_DEPTH, MOST_NODES, Listing, Pairs, Scalar, Unreadable, parse
from tests.policy.written import FULL

KEYS = sorted(set(FULL.replace(":", " ").replace("{", " ").split()) | {"x", "", "<<"})
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(KEYS), st.dates()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)


def is_policy_or_told(text: str) -> None:
    """Load a text, and look at what is wrong with it as a person would."""
    try:
        assert isinstance(load(text), Policy)
    except PolicyError as error:
        told = error
    else:
        return
    assert told.problems
    assert str(told).encode()
    lines = 1 + sum(text.count(end) for end in "\n\r\x85\u2028\u2029")
    assert all(problem.line is None or 1 <= problem.line <= lines for problem in told.problems)


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(alphabet="{}[]:,&*!|>-?%@`'\"\\#~ \n\tabdxuU0189\u2028\ufeff\ud800"))
def test_any_text_is_a_policy_or_told(text: str) -> None:
    """No text whatever brings about anything but a policy or its problems."""
    is_policy_or_told(text)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_any_yaml_is_a_policy_or_told(value: object) -> None:
    """Nor does any well-formed document, with known keys in any place."""
    is_policy_or_told(yaml.safe_dump(value))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(FULL)), st.integers(0, 12), st.text(alphabet="{}[]:,&*!|>-? \n\tabc019", max_size=4))
def test_any_slip_of_the_hand_is_a_policy_or_told(at: int, gone: int, put: str) -> None:
    """Nor does a good file in which something was cut out or put in."""
    is_policy_or_told(FULL[:at] + put + FULL[at + gone :])


def test_scalars_stay_as_they_were_written() -> None:
    """What some YAML readers turn into booleans, octal or base-60 numbers is left to the setting it stands for."""
    tree = parse("a: [NO, 010, 1:30, 2024-01-01, 'q', !!str 5, '', ~, 1_000]")
    assert isinstance(tree, Pairs)
    listing = tree.entries[0].node
    assert isinstance(listing, Listing)
    scalars = [node for node in listing.nodes if isinstance(node, Scalar)]
    assert [node.text for node in scalars] == ["NO", "010", "1:30", "2024-01-01", "q", "5", "", "~", "1_000"]
    assert [node.plain for node in scalars] == [True, True, True, True, False, False, False, True, True]
    assert [node.is_nothing for node in scalars] == [False] * 7 + [True, False]


def test_an_alias_stands_for_what_it_names() -> None:
    """Rules may share their match or their terms."""
    policy = load(
        "rules:\n- {name: a, match: {x: 1}, terms: &t {silence: 5m, heartbeat: {misses: 9}}}\n"
        "- {name: b, match: {x: 2}, terms: *t}\n"
    )
    first, second = policy.rules
    assert first.terms.silence == second.terms.silence != policy.default.silence
    assert second.terms.heartbeat.misses == 9


def bomb(levels: int) -> str:
    """A text of a few hundred characters that stands for 9 ** levels values."""
    lines = ["a0: &a0 [" + ",".join(["x"] * 9) + "]"]
    lines += [f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "part", "line"),
    [
        (bomb(9), f"more than {MOST_NODES} values", 5),
        ("a: &a [" + "x," * MOST_NODES + "]", f"more than {MOST_NODES} values", 1),
        ("[" * 5000, f"nested deeper than {MOST_DEPTH} levels", 1),
        ("a: &a {b: &b {c: 1}}\nd: " + "{e: " * (MOST_DEPTH - 2) + "*a" + "}" * (MOST_DEPTH - 2), "nested deeper", 2),
        ("x" * (MOST_CHARACTERS + 1), "larger than 256 KiB", None),
        ("a: &a [*a]", "the alias *a names no earlier, finished value", 1),
        ("a: *b", "the alias *b names no earlier, finished value", 1),
        ("a: 1\n---\nb: 2", "more than one YAML document", 2),
        ("a: !!python/object/apply:os.system ['true']", "the tag", 1),
        ("\na: !secret x", "the tag", 2),
        ("terms: &t {}\nrules:\n- {<<: *t}", "merge keys (<<) are not read", 3),
        ('a: "\\ud800"', "half of a surrogate pair", 1),
        ('"a\\nb": 1', "a key has 256 printable characters at most", 1),
        ("x" * 257 + ": 1", "a key has 256 printable characters at most", 1),
        ("? [a]\n: b", "a key must be a word", 1),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1", "not valid YAML", None),
    ],
    ids=range(16),
)
def test_what_is_not_read_is_told(text: str, part: str, line: int | None) -> None:
    """Depth, size and aliases are bounded, and nothing in the text is ever run or built."""
    with pytest.raises(Unreadable) as caught:
        parse(text)
    assert part in caught.value.message
    assert caught.value.line == line
    with pytest.raises(PolicyError) as told:
        load(text)
    (problem,) = told.value.problems
    assert part in problem.message
