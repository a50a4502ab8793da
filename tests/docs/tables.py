"""The tables of the README that repeat code, made from that code."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path

import click
import yaml

from finalizer.cli.group import COMMANDS, group
from finalizer.cli.options import Secret
from finalizer.codecs.errors import Reason
from finalizer.codecs.verdict import MISSING_START, facts_of
from finalizer.core.causes import FACTS, Cause
from finalizer.core.law import LAW, Act, Happened
from finalizer.core.model import Phase
from finalizer.policy import docs
from finalizer.shell import metrics_catalogue
from finalizer.shell.metrics_catalogue import PauseReason
from tests.docs.page import PROJECT

SUFFIXES = {".json", ".md", ".py", ".yaml"}
STORIES = PROJECT / "tests" / "scenarios"
DEFAULT_IN_WORDS = re.compile(r"\s*\[default: ([^]]+)\]")


def causes() -> str:
    """Every cause and what a reader may assume from it; last the one that only dead letters have."""
    rows = []
    for cause in (*Cause, None):
        facts = facts_of(cause)
        words = f"{facts.status_word} / {facts.reason_word}" if facts.reason_word else facts.status_word
        if facts.reported and not facts.reason_word:
            words += " / the client's word"
        rows.append(
            [
                f"`{MISSING_START if cause is None else cause.value}`",
                "it told us" if facts.reported else "we closed it",
                facts.end_time,
                "no final" if cause is None else _status(cause),
                words,
                "yes" if facts.incomplete else "no",
                facts.meaning,
            ]
        )
    titles = ["cause", "known how", "end time", "OTel status", "status / reason words", "incomplete", "what happened"]
    return table(titles, rows)


def deployed(name: str) -> str:
    """A collector's configuration out of deploy/. Its fence is `yml`: `yaml` is for finalizer.yaml."""
    return f"```yml\n{(PROJECT / 'deploy' / name).read_text()}```"


def law() -> str:
    """The whole law: phase x what happened."""
    titles = ["phase", *(f"`{column.name}`" for column in Happened)]
    rows = [
        [f"`{phase.name}`", *(f"→ `{target.name}`, {act.name.lower()}" for target, act in LAW[phase])]
        for phase in Phase
    ]
    said = _said(Happened)
    columns = [f"- `{column.name}`: {_lower(said[column.name])}" for column in Happened]
    acts = [f"- *{act.name.lower()}*: {act.value}." for act in Act]
    return "\n".join([table(titles, rows), "", "What happened:", "", *columns, "", "What is done:", "", *acts])


def settings() -> str:
    """Every setting of finalizer.yaml."""
    rows = [[f"`{row.path}`", row.type, row.default or "must be given", row.meaning] for row in docs.table()]
    return table(["setting", "kind", "default", "meaning"], rows)


def metrics() -> str:
    """Every metric with its meaning and what to do about it."""
    rows = [[f"`{row.metric}`", row.type, row.unit, row.meaning, row.what_to_do] for row in metrics_catalogue.table()]
    return table(["metric", "type", "unit", "meaning", "what to do"], rows)


def reasons() -> str:
    """Every reason for which a record is rejected."""
    said = _said(Reason)
    return table(["`dlq.reason`", "meaning"], [[f"`{reason.value}`", said[reason.name]] for reason in Reason])


def pauses() -> str:
    """Every reason for which a partition closes nothing."""
    said = _said(PauseReason)
    return table(["reason", "meaning"], [[f"`{reason.value}`", said[reason.name]] for reason in PauseReason])


def commands() -> str:
    """Every command with its arguments."""
    rows = []
    for name, place in COMMANDS.items():
        arguments = [one.metavar or "" for one in _command(name).params if isinstance(one, click.Argument)]
        rows.append([f"`{' '.join(['finalizer', name, *arguments])}`", place.summary])
    return table(["command", "what it does"], rows)


def options() -> str:
    """Every option, with its variable, its default and the commands that have it."""
    having: dict[tuple[str, str], tuple[click.Option, list[str]]] = {}
    for name in COMMANDS:
        for one in _command(name).params:
            if isinstance(one, click.Option) and one.help:
                having.setdefault((one.opts[0], one.help), (one, []))[1].append(name)
    rows = [
        [f"`{one.opts[0]}`{_takes(one)}", _variable(one), _default(one), _meaning(one), ", ".join(names)]
        for one, names in having.values()
    ]
    return table(["option", "variable", "default", "meaning", "commands"], rows)


def promises() -> str:
    """The promise of every story, with the file that tells it."""
    told = [(yaml.safe_load(path.read_text())["story"], path) for path in sorted(STORIES.glob("*.yaml"))]
    return "\n".join(f"- {story} ([{path.stem}]({path.relative_to(PROJECT)}))" for story, path in told)


def house() -> str:
    """The tree of the package, each file with the first sentence that it says of itself."""
    root = PROJECT / "finalizer"
    lines = [(f"{root.name}/", _purpose(root / "__init__.py"))]
    _walk(root, "", lines)
    width = max(len(name) for name, _ in lines)
    return "\n".join(["```text", *(f"{name:<{width}}  {purpose}".rstrip() for name, purpose in lines), "```"])


def _walk(folder: Path, indent: str, lines: list[tuple[str, str]]) -> None:
    inside = [one for one in folder.iterdir() if (one.suffix in SUFFIXES or _is_room(one)) and one.stem != "__init__"]
    inside.sort(key=lambda one: (one.is_file(), one.name))
    for number, one in enumerate(inside, start=1):
        branch, below = ("└── ", "    ") if number == len(inside) else ("├── ", "│   ")
        if one.is_dir():
            lines.append((f"{indent}{branch}{one.name}/", _purpose(one / "__init__.py")))
            _walk(one, indent + below, lines)
        else:
            lines.append((f"{indent}{branch}{one.name}", _purpose(one)))


def _is_room(path: Path) -> bool:
    return any(one.suffix in SUFFIXES for one in path.rglob("*"))


def _purpose(path: Path) -> str:
    """The first sentence that a file says of itself, without its references; empty where it says nothing."""
    match path.suffix:
        case ".json":
            return str(json.loads(path.read_text())["title"])
        case ".md" | ".yaml":
            said = path.read_text().partition("\n")[0].lstrip("# ")
        case _:
            said = ast.get_docstring(ast.parse(path.read_text())) or "" if path.exists() else ""
    said = " ".join(said.partition("\n\n")[0].split())
    said = said.partition(" (")[0] if " (DESIGN" in said or " (RATIONALE" in said else said
    return said.partition(". ")[0].removesuffix(".")


def _said(kind: type[Enum]) -> dict[str, str]:
    """What the source of an enumeration says below each member."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    said: dict[str, str] = {}
    for member, following in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(following, ast.Expr):
            said[ast.unparse(member.targets[0])] = ast.literal_eval(following.value)
    return said


def _status(cause: Cause) -> str:
    facts = FACTS[cause]
    return f"reported, else {facts.status.name}" if facts.reported else facts.status.name


def _command(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def _takes(option: click.Option) -> str:
    """What the option takes, where its choices say more than its name."""
    choices = option.type.choices if isinstance(option.type, click.Choice) else ()
    return f" {', '.join(choices)}" if choices else ""


def _variable(option: click.Option) -> str:
    names = [str(option.envvar), *([f"{option.envvar}_FILE"] if isinstance(option, Secret) else [])]
    return ", ".join(f"`{name}`" for name in names)


def _meaning(option: click.Option) -> str:
    return DEFAULT_IN_WORDS.sub("", option.help or "")


def _default(option: click.Option) -> str:
    told = DEFAULT_IN_WORDS.search(option.help or "")
    if told is not None:
        return told[1]
    default = option.to_info_dict()["default"]
    if option.is_flag or default is None or not isinstance(default, str | int | float):
        return ""
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of the page."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
