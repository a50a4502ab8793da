"""Each mistake gives one sentence, with the place where it was made."""

import pytest

from finalizer.policy.load import PolicyError, Problem, load


def problems(text: str) -> tuple[Problem, ...]:
    """All that is wrong with a text, which must be something."""
    with pytest.raises(PolicyError) as caught:
        load(text)
    return caught.value.problems


FORM = [
    # unknown keys
    ("term: {}", "term", "did you mean `terms`?"),
    ("terms: {max-duration: 1h}", "terms.max-duration", "did you mean `max_duration`?"),
    ("terms: {heartbeat: {Interval: 1s}}", "terms.heartbeat.Interval", "did you mean `interval`?"),
    ("safety: {outage: {qqq: 1}}", "safety.outage.qqq", "known in `safety.outage`: window, min_spans, below"),
    ("silence: 1h", "silence", "it belongs in `terms`"),
    ("rejected: {max_ratio: 0.5}", "rejected", "it belongs in `outputs`"),
    ("terms: {outputs: {}}", "terms.outputs", "it belongs in `the top level`"),
    ("rules: [{name: a, mach: {name: b}}]", "rules[0].mach", "did you mean `match`?"),
    # the wrong shape
    ("[a]", "", "`key: value` lines are expected, not a list"),
    ("terms", "", "`key: value` lines are expected, not one value"),
    ("terms: 5m", "terms", "`key: value` lines are expected, not one value"),
    ("terms: [silence]", "terms", "`key: value` lines are expected, not a list"),
    ("rules: {name: a}", "rules", "a list is expected, not `key: value` lines"),
    ("rules: [a]", "rules[0]", "`key: value` lines are expected, not one value"),
    ("inputs: spans.events", "inputs", "a list is expected, not one value"),
    ("terms: {silence: {a: 1}}", "terms.silence", "one value is expected, not `key: value` lines"),
    ("terms: {silence: [1h]}", "terms.silence", "one value is expected, not a list"),
    ("terms: {silence: }", "terms.silence", "has no value"),
    ("topics: {replication_factor: null}", "topics.replication_factor", "has no value"),
    ("safety: {outage: {group_by: service.name}}", "safety.outage.group_by", "a list is expected"),
    ("safety: {outage: {group_by: ['']}}", "safety.outage.group_by[0]", "is no attribute name"),
    # the wrong value
    ("terms: {heartbeat: {required: 'true'}}", "terms.heartbeat.required", "true or false is expected"),
    ("terms: {heartbeat: {misses: 0}}", "terms.heartbeat.misses", "between 1 and 1000"),
    ("terms: {heartbeat: {misses: '3'}}", "terms.heartbeat.misses", "a whole number is expected"),
    ("terms: {heartbeat: {misses: 2.5}}", "terms.heartbeat.misses", "a whole number is expected"),
    ("terms: {late_end: revisee}", "terms.late_end", "revise or dead_letter or drop is expected"),
    ("outputs: {rejected: {max_ratio: 50}}", "outputs.rejected.max_ratio", "above 0 and up to 1"),
    ("outputs: {rejected: {max_ratio: 0}}", "outputs.rejected.max_ratio", "above 0 and up to 1"),
    ("outputs: {rejected: {max_ratio: half}}", "outputs.rejected.max_ratio", "above 0 and up to 1"),
    ("topics: {partitions: 999999}", "topics.partitions", "between 1 and 10000"),
    ("remember: {max_bytes: 12}", "remember.max_bytes", "1MiB or more is needed"),
    ("outputs: {dlq: {topic: 'a b'}}", "outputs.dlq.topic", '"a b" is no topic name'),
    ("outputs: {dlq: {topic: ..}}", "outputs.dlq.topic", '".." is no topic name'),
    ("inputs: [{format: native}]", "inputs[0]", "`topic` is missing"),
    ("inputs: [null]", "inputs[0]", "`topic` is missing"),
    ("rules: [{match: {name: a}}]", "rules[0]", "`name` is missing"),
    ("rules: [{name: Uploads}]", "rules[0].name", "1 to 40 of a-z, 0-9, _ and -"),
    ("rules: [{name: a, match: {x: }}]", "rules[0].match.x", "a glob is expected"),
    ("rules: [{name: a, match: {x: []}}]", "rules[0].match.x", "an empty list of globs fits nothing"),
    ("rules: [{name: a, match: {x: [[y]]}}]", "rules[0].match.x[0]", "a glob is expected"),
    ("rules: [{name: a, match: {x: {y: z}}}]", "rules[0].match.x", "a list is expected"),
    ("rules: [{name: a, match: [x]}]", "rules[0].match", "`key: value` lines are expected"),
    ("rules: [{name: a, terms: {settle: 1s}}]", "rules[0].terms.settle", "it belongs in `safety`"),
]
"""Mistakes of form, which the JSON Schema sees as well."""

MEANING = [
    ("1: 2", "1", 'unknown key "1"'),
    ("terms: {heartbeat: {required: yes}}", "terms.heartbeat.required", 'true or false is expected, not "yes"'),
    ("outputs: {rejected: {max_ratio: .nan}}", "outputs.rejected.max_ratio", "above 0 and up to 1"),
    # inputs and outputs
    ("inputs: []", "inputs", "at least one input is needed"),
    ("inputs: [{topic: a}, {topic: a}]", "inputs[1].topic", "a is inputs[0].topic and inputs[1].topic"),
    ("inputs: [{topic: a}]\noutputs: {dlq: {topic: a}}", "outputs.dlq.topic", "but a topic has one use"),
    ("inputs: [{topic: spans.dlq}]", "inputs[0].topic", "and outputs.dlq.topic (by default)"),
    ("outputs: {dlq: {topic: spans.events}}", "outputs.dlq.topic", "is inputs[0].topic (by default) and outputs.dlq"),
    ("outputs: {dlq: {topic: a}, rejected: {topic: a}}", "outputs.rejected.topic", "but a topic has one use"),
    # rules
    (f"rules: [{{name: {'a' * 41}}}]", "rules[0].name", "is no rule name"),
    ("rules: [{name: default}]", "rules[0].name", "take another"),
    ("rules: [{name: a, match: {name: b}}, {name: a}]", "rules[1].name", "a is the name of rules[0] already"),
    ("rules: [{name: a}, {name: b, match: {name: c}}]", "rules[1]", "rules[0] stands before it and has no match"),
    ("rules: [{name: a, match: {}}, {name: b}]", "rules[1]", "rules[0] stands before it and has no match"),
    (
        "rules: [{name: a, match: {x: [p, q]}}, {name: b, match: {y: z, x: [q, p]}}]",
        "rules[1]",
        "rules[0] stands before it and matches every span that this one does",
    ),
    ("rules: [{name: a, match: {kind: CLIENT}}]", "rules[0].match.kind", "they are internal, server, client"),
    ("rules: [{name: a, match: {resource.: z}}]", "rules[0].match.resource.", "the name of an attribute is missing"),
    # settings that contradict each other
    ("terms: {heartbeat: {min: 20m}}", "terms.heartbeat.min", "min (20m) is greater than max (10m)"),
    ("terms: {heartbeat: {max: 500ms}}", "terms.heartbeat.max", "min (1s) is greater than max (500ms)"),
    ("terms: {heartbeat: {interval: 1h}}", "terms.heartbeat.interval", "closed between two heartbeats"),
    ("rules: [{name: a, terms: {heartbeat: {min: 1h}}}]", "rules[0].terms.heartbeat.min", "min (1h) is greater"),
    ("safety: {outage: {below: 0.6}}", "safety.outage.below", "below (0.6) is greater than until (0.5)"),
    ("safety: {outage: {max_pause: 1s}}", "safety.outage.max_pause", "is shorter than window (30s)"),
    ("safety: {settle: 2h}", "safety.settle", "1h or less is needed"),
    ("topics: {replication_factor: 1, min_insync_replicas: 2}", "topics.min_insync_replicas", "nothing could be"),
    ("inputs: [{topic: a, format: otlp_spans, rekey: never}]", "inputs[0].rekey", "may hold many traces"),
    # YAML
    ("terms: {silence: 1h", "", "not valid YAML"),
    ("terms:\n\tsilence: 1h", "", "not valid YAML"),
    ("a: b: c", "", "not valid YAML: mapping values are not allowed here"),
    ("terms: \x07", "", r"not valid YAML: the character '\x07' is not allowed"),
    ('outputs: {dlq: {topic: "\\UFFFFFFFF"}}', "", "not valid YAML"),
    ("terms: {silence: 1h, silence: 2h}", "terms.silence", "is given twice, first in line 1"),
]
"""Mistakes that only reading it all tells, or that YAML readers disagree on."""


@pytest.mark.parametrize(("text", "path", "part"), FORM + MEANING, ids=[text for text, _, _ in FORM + MEANING])
def test_one_mistake_gives_one_problem(text: str, path: str, part: str) -> None:
    """The problem says where it is and what would be right, and drags no other after it."""
    (problem,) = problems(text)
    assert problem.path == path
    assert part in problem.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("terms:\n  silence: 1h\n  silenc: 2h\n", 3),
        ("terms:\n  silence: 1h\n\n  silence: 2h\n", 4),
        ("rules:\n- name: a\n- name: b\n  match: {x: y}\n", 3),
        ("rules:\n- name: a\n  match:\n    x:\n    - y\n    -\n", 6),
        ("terms:\n  heartbeat:\n    misses: 2\n    interval: 1h\n", 4),
        ("inputs:\n- topic: a\n- topic: b\n- topic: a\n", 4),
        ("inputs: []\n", 1),
        ("terms:\n  silence: 1h\n   max_duration: 2h\n", 3),
        ("terms:\n  silence: 1h\n# \x07\n", 3),
        ("safety:\n  outage:\n    until: 0.1\n", 3),
    ],
)
def test_a_problem_tells_its_line(text: str, line: int) -> None:
    """The line is the one in which the mistake was made, from 1."""
    assert [problem.line for problem in problems(text)] == [line]


def test_a_wrong_setting_is_as_good_as_not_given() -> None:
    """A rule whose match is wrong is not taken for one that matches everything."""
    found = problems("rules: [{name: a, match: {x: }}, {name: b, match: {y: z}}]")
    assert [problem.path for problem in found] == ["rules[0].match.x"]


def test_a_mistake_in_terms_is_not_told_again_for_each_rule() -> None:
    """A rule answers for what it changes, not for what it inherits."""
    found = problems("terms: {heartbeat: {min: 20m}}\nrules: [{name: a, match: {x: y}, terms: {silence: 5m}}]")
    assert [problem.path for problem in found] == ["terms.heartbeat.min"]


def test_a_hint_does_not_quote_a_page() -> None:
    """A key or value of any length and any characters gives a message of one short line."""
    for text in (f"{'x' * 250}: 1", f"terms: {{silence: {'y' * 5000}}}", 'terms: {silence: "a\\nb\\e"}'):
        (problem,) = problems(text)
        assert len(problem.message) < 250
        assert problem.message.isprintable()
