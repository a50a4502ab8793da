"""One declaration of each setting: reader, table and JSON Schema say the same."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.core.terms import Heartbeat, Terms
from finalizer.policy.docs import table
from finalizer.policy.fields import fields_of
from finalizer.policy.json_schema import PLACE, json_schema, text
from finalizer.policy.load import Policy, PolicyError, load
from tests.policy.test_problems import FORM
from tests.policy.written import FULL, dump

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def durations(least: int, most: int) -> st.SearchStrategy[str]:
    """Durations in milliseconds, written with one unit or with two."""
    return st.integers(least, most).map(lambda ms: f"{ms}ms" if ms % 1000 else f"{ms // 60_000}m{ms // 1000 % 60}s")


TOPICS = st.permutations([f"t{number}" for number in range(6)])
HEARTBEAT: dict[str, st.SearchStrategy[object]] = {
    "interval": durations(1, 60_000),
    "required": st.booleans(),
    "misses": st.integers(1, 1000),
    "min": durations(0, 60_000),
    "max": durations(120_000, 10**9),
    "allowance": durations(0, 10**6),
}
TERMS: dict[str, st.SearchStrategy[object]] = {
    "heartbeat": st.fixed_dictionaries({}, optional=HEARTBEAT),
    "start_grace": durations(0, 10**9),
    "orphan_grace": durations(1, 10**9),
    "silence": durations(1, 10**9),
    "max_duration": durations(1, 10**9),
    "progress_timeout": durations(1, 10**9) | st.just("off"),
    "background_grace": durations(0, 10**9),
    "late_end": st.sampled_from(["revise", "dead_letter", "drop"]),
}
SHARES = st.floats(0, 1, exclude_min=True)
RULES = st.lists(
    st.tuples(
        st.from_regex(r"[a-z0-9_-]{1,40}", fullmatch=True),
        st.fixed_dictionaries({}, optional=TERMS),
        st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=5), min_size=1, max_size=3),
    ),
    max_size=4,
    unique_by=lambda rule: rule[0],
)


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """Settings of a good file, some of them given and some not."""
    topics = draw(TOPICS)
    rules = [
        {"name": f"{name[:39]}x", "match": {f"key{index}": globs}, "terms": terms}
        for index, (name, terms, globs) in enumerate(draw(RULES))
    ]
    names = [rule["name"] for rule in rules]
    whole = {
        "inputs": [{"topic": topic} for topic in topics[: draw(st.integers(1, 3))]],
        "outputs": {
            "finalized": {"topic": topics.pop()},
            "dlq": {"topic": topics.pop()},
            "rejected": {"topic": topics.pop(), "max_ratio": draw(SHARES), "over": draw(st.integers(1, 10**9))},
        },
        "terms": draw(st.fixed_dictionaries({}, optional=TERMS)),
        "rules": rules if len(set(names)) == len(names) else [],
        "remember": {"presumed": draw(durations(1, 10**9)), "max_bytes": draw(st.integers(2**20, 2**40))},
        "safety": {"settle": draw(durations(0, 3_600_000)), "outage": {"group_by": draw(st.lists(st.just("a")))}},
        "topics": draw(st.fixed_dictionaries({}, optional={"partitions": st.integers(1, 10_000)})),
    }
    left_out = draw(st.sets(st.sampled_from(sorted(whole))))
    return {key: value for key, value in whole.items() if key not in left_out}


@settings(deadline=None)
@given(files())
def test_a_policy_reads_back_as_it_is_written(given_: dict[str, Any]) -> None:
    """Written out whole, defaults included, a policy is the same policy, and the JSON Schema has no objection."""
    policy = load(yaml.safe_dump(given_))
    assert load(dump(policy)) == policy
    VALIDATOR.validate(given_)
    VALIDATOR.validate(yaml.safe_load(dump(policy)))


@pytest.mark.parametrize("whole", ["", FULL])
def test_the_schema_takes_a_good_file(whole: str) -> None:
    """What an editor underlines is wrong."""
    VALIDATOR.validate(yaml.safe_load(whole))


@pytest.mark.parametrize("bad", [text_ for text_, _, _ in FORM])
def test_the_schema_refuses_what_is_wrong_in_form(bad: str) -> None:
    """Unknown keys, wrong types and missing names are seen in the editor already."""
    assert not VALIDATOR.is_valid(yaml.safe_load(bad))


def test_the_schema_file_is_what_the_declarations_say() -> None:
    """`python -m finalizer.policy.json_schema` was run after the last change."""
    assert Path(PLACE).read_text(encoding="utf-8") == text()
    jsonschema.Draft202012Validator.check_schema(json.loads(text()))


@pytest.mark.parametrize("shape", [Terms, Heartbeat])
def test_every_setting_of_the_law_can_be_written(shape: type[msgspec.Struct]) -> None:
    """A field of the law's terms that finalizer.yaml could not set would be a secret."""
    fields = {field.name for field in msgspec.structs.fields(shape)} - {"rule", "policy"}
    assert set(fields_of(shape)) == fields


def test_the_table_has_a_row_for_each_setting() -> None:
    """Each says in a line what it means, of which type it is, and what holds where it is not given."""
    rows = {row.path: row for row in table()}
    assert len(rows) == len(table())
    assert all(row.type and row.meaning.endswith(".") and "\n" not in row.meaning for row in table())
    assert [row.path for row in table() if not row.default] == ["inputs[].topic", "rules[].name"]
    assert rows["terms.heartbeat.interval"][1:3] == ("duration", "`30s`")
    assert rows["terms.progress_timeout"][1:3] == ("duration or `off`", "off")
    assert rows["remember.max_bytes"][1:3] == ("size", "`512MiB`")
    assert rows["outputs.finalized.include"][1:3] == ("`all`, `synthetic`", "`all`")
    assert rows["terms.heartbeat.required"][1:3] == ("`true`, `false`", "`false`")
    assert rows["safety.outage.group_by"].default == "`[service.name]`"


def test_each_default_in_the_table_may_be_written() -> None:
    """A default copied out of the table into the file changes nothing."""
    nested: dict[str, Any] = {}
    for row in table():
        if "[]" not in row.path and row.default.startswith("`"):
            *sections, key = row.path.split(".")
            place = nested
            for section in sections:
                place = place.setdefault(section, {})
            place[key] = yaml.safe_load(row.default.strip("`"))
    assert load(yaml.safe_dump(nested)) == load("")


def test_a_good_file_is_no_error() -> None:
    """Guards the tests above: they rest on this file."""
    try:
        assert isinstance(load(FULL), Policy)
    except PolicyError as error:
        pytest.fail(str(error))
