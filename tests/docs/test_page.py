"""What the README says can be done, can be done; what it points at is there."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from finalizer.cli.group import COMMANDS, group
from finalizer.policy import docs
from finalizer.policy.load import load
from tests.docs.page import PROJECT, README, anchor, code, headings, links, prose

TEXT = README.read_text()
PAGES = [README, PROJECT / "CHANGELOG.md", PROJECT / "finalizer" / "RATIONALE.md"]
RATIONALE = PAGES[2].read_text()


def command_lines() -> list[str]:
    """Every `finalizer …` that a reader may copy: from fences, and from the prose."""
    fenced = [line for block in code(TEXT, "sh") for line in block.splitlines()]
    quoted = re.findall(r"`(finalizer [^`]+)`", prose(TEXT))
    found = [part for line in (*fenced, *quoted) for part in re.findall(r"\bfinalizer (?!COMMAND)[a-z][^|#]*", line)]
    return [line.strip() for line in found if "[" not in line]


def later() -> str:
    """The section of what is not there yet, which may name what does not exist."""
    return TEXT.partition("## What is not there yet\n")[2]


@pytest.mark.parametrize("line", sorted(set(command_lines())))
def test_every_command_line_is_accepted(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command copied from the page is never answered with a usage error."""
    name, *arguments = shlex.split(line)[1:]
    if name not in COMMANDS:
        assert line in later() or f"`{line}`" in metric_answers()
        return
    monkeypatch.chdir(tmp_path)
    (tmp_path / "finalizer.yaml").write_text("")
    for file in ("events.jsonl", "part.jsonl"):
        (tmp_path / file).touch()
    command = group.get_command(click.Context(group), name)
    assert command is not None
    command.make_context(name, arguments)


def metric_answers() -> str:
    """What metrics tell to do; some answers come with a later release."""
    return TEXT.partition("<!-- generated: metrics -->")[2].partition("<!-- end -->")[0]


def test_command_lines_are_found() -> None:
    """The search that the rule above rests on sees fences, pipes and prose."""
    found = command_lines()
    assert "finalizer dev" in found
    assert "finalizer tail dlq --from-beginning" in found
    assert "finalizer check --config finalizer.yaml --broker kafka-1:9092,kafka-2:9092" in found
    assert found.count("finalizer send") > 0


@pytest.mark.parametrize("text", code(TEXT, "yaml"))
def test_every_configuration_is_accepted(text: str) -> None:
    """A finalizer.yaml copied from the page is not refused."""
    load(text, origin="README.md")


@pytest.mark.parametrize("text", code(TEXT, "python"))
def test_every_snippet_compiles(text: str) -> None:
    """Python copied from the page is Python. (What it runs on is not all installed here.)"""
    compile(text, "README.md", "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Links within the project lead to files that are there, and to headings that the page has."""
    for target in links(page.read_text()):
        if target.startswith("https://"):
            continue
        name, _, fragment = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} points at {target}"
        if fragment:
            assert fragment in [anchor(title) for _, title in headings(path.read_text())], f"{page.name}: {target}"


def test_the_contents_name_every_section() -> None:
    """Whoever looks for a section finds it in the list at the top."""
    contents = TEXT.partition("## Contents\n")[2].partition("\n## ")[0]
    titles = [title for level, title in headings(TEXT) if level == 2 and title != "Contents"]
    assert [title for title in titles if f"[{title}](#{anchor(title)})" not in contents] == []


def test_every_make_target_exists() -> None:
    """`make …` on the page is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", TEXT, re.MULTILINE)) <= targets


def test_every_test_that_vouches_for_a_guarantee_exists() -> None:
    """A guarantee names the test that shows it; a test that is renamed takes its guarantee along."""
    guarantees = TEXT.partition("## Guarantees\n")[2].partition("### What is not promised")[0]
    sources = "\n".join(path.read_text() for path in (PROJECT / "tests").rglob("test_*.py"))
    sources += "\n".join(path.read_text() for path in (PROJECT / "tests" / "contracts").glob("*.py"))
    named = set(re.findall(r"`(test_\w+)`", guarantees))
    assert named
    assert [name for name in named if f"def {name}(" not in sources] == []


def test_log_events_on_the_page_are_logged() -> None:
    """An event of the log that the page names is one that the worker writes."""
    events, parts = logged()
    settings = {row.path for row in docs.table()}
    named = {token for token in re.findall(r"`([a-z]+\.[a-z_]+)`", TEXT) if token.partition(".")[0] in parts}
    assert "partition.input_paused" in named
    assert named - settings <= events


def test_sentences_of_exit_code_5_are_said() -> None:
    """The sentences that the page explains are the worker's own."""
    section = TEXT.partition("### Exit code 5\n")[2].partition("\n### ")[0]
    sentences = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert len(sentences) > 5
    said = "\n".join(spoken())
    assert [sentence for sentence in sentences if not re.search(_pattern(sentence), said)] == []


def test_modules_that_name_their_rule_name_a_section() -> None:
    """`(RATIONALE: folding)` in a docstring leads to a section of that page."""
    sections = {title.lower() for _, title in headings(RATIONALE)}
    for path in (*PROJECT.glob("finalizer/**/*.py"), *PROJECT.glob("tests/**/*.py")):
        for named in re.findall(r"\((?:DESIGN|RATIONALE): ([a-z ,]+)\)", path.read_text()):
            assert set(named.split(", ")) <= sections, f"{path.name}: {named}"


def logged() -> tuple[set[str], set[str]]:
    """Events of the worker's log as `part.event`, and the parts."""
    events, parts = set(), set()
    for path in (PROJECT / "finalizer" / "shell").glob("*.py"):
        tree = ast.parse(path.read_text())
        (part,) = re.findall(r'^log = logs\.get\("(\w+)"\)', path.read_text(), re.MULTILINE) or [""]
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log")), args=[ast.Constant(value=str(event)), *_]
                ) if part:
                    events.add(f"{part}.{event}")
                    parts.add(part)
    return events, parts


def spoken() -> list[str]:
    """Every text in the shell's code, with … for what is filled in."""
    texts = []
    for path in (PROJECT / "finalizer" / "shell").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str(text)):
                    texts.append(text)
                case ast.JoinedStr(values=values):
                    texts.append("".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in values))
    return texts


def _pattern(sentence: str) -> str:
    """The sentence as it is searched for: what is left out on the page may be anything."""
    return ".*".join(re.escape(part) for part in sentence.split("…"))
