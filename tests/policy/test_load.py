"""From text to policy: what is given stands, what is not has its default."""

import pytest

from finalizer.core.model import Kind
from finalizer.core.terms import HOUR, MINUTE, SECOND, Heartbeat, LateEnd, Terms
from finalizer.policy.load import PolicyError, Problem, load
from finalizer.policy.schema import (
    Breaker,
    DeadLetters,
    Encoding,
    Finalized,
    Include,
    Input,
    Outage,
    Outputs,
    Policy,
    RejectedRecords,
    Rekey,
    Remember,
    Safety,
    Topics,
)
from tests.policy.written import FULL


def test_every_setting_reaches_the_policy() -> None:
    """A file that gives everything is a policy in which nothing is a default."""
    policy = load(FULL)
    assert policy.inputs == (
        Input(topic="spans.start", kind=Kind.START),
        Input(topic="spans.heartbeat", kind=Kind.HEARTBEAT, rekey=Rekey.NEVER),
        Input(topic="spans.end", kind=Kind.END),
    )
    assert policy.outputs == Outputs(
        finalized=Finalized(topic="out.finalized", encoding=Encoding.OTLP_PROTO, include=Include.SYNTHETIC),
        dlq=DeadLetters(topic="out.dlq"),
        rejected=RejectedRecords(topic="out.rejected", max_ratio=0.25, over=200),
    )
    assert policy.default == Terms(
        policy=policy.fingerprint,
        heartbeat=Heartbeat(
            interval=20 * SECOND, required=True, misses=4, min=SECOND // 2, max=5 * MINUTE, allowance=0
        ),
        start_grace=45 * SECOND,
        orphan_grace=90 * SECOND,
        silence=90 * MINUTE,
        max_duration=12 * HOUR,
        progress_timeout=3 * MINUTE,
        background_grace=20 * MINUTE,
        late_end=LateEnd.DEAD_LETTER,
    )
    assert policy.remember == Remember(presumed=12 * HOUR, finished=10 * MINUTE, max_bytes=64 * 2**20)
    assert policy.safety == Safety(
        settle=5 * SECOND,
        outage=Outage(
            window=20 * SECOND,
            min_spans=10,
            below=0.1,
            until=0.9,
            max_pause=5 * MINUTE,
            group_by=("service.name", "region"),
        ),
        breaker=Breaker(window=2 * MINUTE, min_spans=500, max_share=0.75),
    )
    assert policy.topics == Topics(partitions=12, replication_factor=3, min_insync_replicas=2)


def test_a_rule_changes_what_it_gives_and_nothing_else() -> None:
    """Field by field over `terms`, nested ones too; `off` takes away what `terms` switch on."""
    policy = load(FULL)
    uploads, quiet = policy.rules
    assert (uploads.name, quiet.name) == ("uploads", "quiet")
    assert dict(uploads.match) == {"span_type": ("upload",), "service.name": ("mobile-*",)}
    assert uploads.terms == Terms(
        rule="uploads",
        policy=policy.fingerprint,
        heartbeat=Heartbeat(
            interval=20 * SECOND, required=True, misses=5, min=SECOND // 2, max=5 * MINUTE, allowance=0
        ),
        start_grace=45 * SECOND,
        orphan_grace=90 * SECOND,
        silence=90 * MINUTE,
        max_duration=10 * MINUTE,
        progress_timeout=None,
        background_grace=20 * MINUTE,
        late_end=LateEnd.DEAD_LETTER,
    )
    assert quiet.terms.silence == policy.default.silence
    assert (quiet.terms.rule, quiet.terms.policy) == ("quiet", policy.fingerprint)


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "{}", "terms:\nrules:\ninputs:\n", "null"])
def test_what_is_not_given_is_the_default(text: str) -> None:
    """An empty file, and a section of which every line is commented out, ask for the defaults."""
    policy = load(text)
    assert policy == load("")
    assert policy.inputs == (Input(topic="spans.events"),)
    assert policy.default == Terms(policy=policy.fingerprint)
    assert policy.rules == ()
    assert policy.topics == Topics(partitions=4, replication_factor=None, min_insync_replicas=None)


def test_defaults_are_those_of_the_shape() -> None:
    """What the configuration table shows as default is what an empty file gives, but for the fingerprint."""
    assert load("") == Policy(default=Terms(policy=load("").fingerprint))


@pytest.mark.parametrize(
    ("text", "rekeyed"), [("", False), ("format: partial_log", True), ("format: otlp_spans, rekey: never", False)]
)
def test_foreign_producers_are_rekeyed_unless_told_otherwise(text: str, rekeyed: bool) -> None:
    """Only native producers are trusted to key by trace id."""
    from finalizer.policy.read import Reader
    from finalizer.policy.tree import parse

    given = Reader(Policy).read(parse(f"inputs: [{{topic: a, {text}}}]"))
    assert Input(**given["inputs"][0]).is_rekeyed is rekeyed


def test_all_problems_are_told_at_once_in_the_order_of_lines() -> None:
    """One run of `check` is enough to see everything that is wrong."""
    text = """\
terms:
  silence: 30
  max_duraton: 1h
safety: {settle: never}
rules:
  - {match: {name: x}}
outputs: {dlq: {topic: spans.events}}
"""
    with pytest.raises(PolicyError) as caught:
        load(text)
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (2, "terms.silence"),
        (3, "terms.max_duraton"),
        (4, "safety.settle"),
        (6, "rules[0]"),
        (7, "outputs.dlq.topic"),
    ]


def test_an_error_reads_as_lines_that_an_editor_can_jump_to() -> None:
    """`origin:line: path: message`, one problem a line; without path or line where there is none."""
    with pytest.raises(PolicyError) as caught:
        load("terms:\n  late_end: x\nsilence: 1h\n", origin="/etc/f.yaml")
    assert str(caught.value).splitlines() == [
        '/etc/f.yaml:2: terms.late_end: revise or dead_letter or drop is expected, not "x"',
        '/etc/f.yaml:3: silence: unknown key "silence"; it belongs in `terms`',
    ]
    whole = PolicyError((Problem("", "is too large", None),), origin="f.yaml")
    assert str(whole) == "f.yaml: is too large"


def test_what_belongs_to_the_command_line_is_left_alone() -> None:
    """`worker:` holds options of the command; whatever stands in it is not for the policy to judge."""
    assert load("worker: {web_port: 6066, any: [thing]}\nterms: {silence: 1h}\n") == load("")


@pytest.mark.parametrize("text", ["1", "1.0", "0.5", "0.029211030726908678", "1.0e-05", "2.2250738585072014e-308"])
def test_a_share_has_as_many_digits_as_it_needs(text: str) -> None:
    """Whatever a program writes for a number above 0 and up to 1 is that number."""
    assert load(f"outputs: {{rejected: {{max_ratio: {text}}}}}").outputs.rejected.max_ratio == float(text)


def test_a_policy_does_not_change() -> None:
    """Terms in hand are the terms that were checked."""
    with pytest.raises(AttributeError):
        load("").default = Terms()  # type: ignore[misc]
