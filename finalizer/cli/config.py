"""finalizer.yaml as the command line sees it: the policy, and under `worker:` options by name (`web_port: 6066`)."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from finalizer.policy.load import Policy, PolicyError, Problem, load
from finalizer.policy.tree import Entry, Pairs, Scalar, Unreadable, parse
from finalizer.shell.stop import Exit, Stop

DEFAULT_PATH = Path("finalizer.yaml")
SECTION = "worker"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The text of a finalizer.yaml, empty where there is none, and what is wrong with its `worker:` section."""

    path: Path
    text: str
    exists: bool
    problems: tuple[str, ...] = ()

    @property
    def policy(self) -> Policy:
        """The policy. Raises ``Stop`` with all that is wrong with the file."""
        policy, problems = self.examined()
        if policy is None or problems:
            raise Stop(Exit.CONFIGURATION, "\n".join(problems))
        return policy

    @property
    def policy_text(self) -> str:
        """The text without `worker:`; everything else stays on its line."""
        return _without_section(self.text)

    def examined(self) -> tuple[Policy | None, tuple[str, ...]]:
        """Return the policy, None if it has problems, and all problems of the file, each with its place."""
        try:
            return load(self.policy_text, origin=str(self.path)), self.problems
        except PolicyError as error:
            return None, (*self.problems, *str(error).splitlines())


def given_config(ctx: click.Context, param: click.Parameter, path: str, *, known: Collection[str]) -> ConfigFile:
    """Read the file and put its `worker:` section behind the options of the command. ``known``: names it may hold.

    Raises ``Stop`` where the file cannot be read; a missing one is as good as empty unless it was asked for by name.
    """
    assert param.name is not None
    by_default = ctx.get_parameter_source(param.name) is ParameterSource.DEFAULT
    file = read_config(Path(path), must_exist=not by_default)
    given, problems = _worker_section(file, known)
    for one in ctx.command.params:
        entry = given.get(one.name or "")
        if entry is not None:
            value, problem = _converted(one, entry, ctx)
            if problem is None:
                ctx.default_map = {**(ctx.default_map or {}), entry.key: value}
            else:
                problems.append(Problem(f"{SECTION}.{entry.key}", problem, entry.line))
    told = PolicyError(tuple(sorted(problems, key=lambda one: one.line or 0)), origin=path)
    return ConfigFile(file.path, file.text, exists=file.exists, problems=tuple(str(told).splitlines()))


def read_config(path: Path, *, must_exist: bool) -> ConfigFile:
    """Read the file. Raises ``Stop`` with one sentence where it cannot be."""
    try:
        return ConfigFile(path, path.read_text(encoding="utf-8"), exists=True)
    except FileNotFoundError:
        if not must_exist:
            return ConfigFile(path, "", exists=False)
        raise Stop(Exit.CONFIGURATION, f"{path} does not exist.") from None
    except UnicodeDecodeError as problem:
        raise Stop(Exit.CONFIGURATION, f"{path} is not UTF-8 text (byte {problem.start}).") from None
    except OSError as problem:
        raise Stop(Exit.CONFIGURATION, f"{path} cannot be read: {problem.strerror}.") from None


def _worker_section(file: ConfigFile, known: Collection[str]) -> tuple[dict[str, Entry], list[Problem]]:
    """Entries of `worker:` by name, and what is wrong with the section. What is no YAML at all the policy tells."""
    section = _section(file.text)
    if section is None or (isinstance(section.node, Scalar) and section.node.is_nothing):
        return {}, []
    if not isinstance(section.node, Pairs):
        return {}, [Problem(SECTION, "options by name are expected, as in {web_port: 6066}", section.line)]
    given: dict[str, Entry] = {}
    problems = []
    for entry in section.node.entries:
        path = f"{SECTION}.{entry.key}"
        if entry.key not in known:
            near = difflib.get_close_matches(entry.key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(Problem(path, f"no such option{hint}", entry.line))
        elif entry.key in given:
            problems.append(Problem(path, f"given twice (first in line {given[entry.key].line})", entry.line))
        else:
            given[entry.key] = entry
    return given, problems


def _converted(option: click.Parameter, entry: Entry, ctx: click.Context) -> tuple[object, str | None]:
    """Return what was written as the option takes it, or why it does not."""
    if not isinstance(entry.node, Scalar):
        return None, "a single value is expected"
    if entry.node.is_nothing:
        return None, "a value is missing"
    try:
        return option.type_cast_value(ctx, entry.node.text), None
    except click.BadParameter as problem:
        return None, problem.message


def _section(text: str) -> Entry | None:
    try:
        root = parse(text)
    except Unreadable:
        return None
    entries = root.entries if isinstance(root, Pairs) else ()
    return next((entry for entry in entries if entry.key == SECTION), None)


def _without_section(text: str) -> str:
    """Return the text with the lines of the section empty, so that the lines of everything else keep their numbers."""
    section = _section(text)
    if section is None:
        return text
    root = parse(text)
    assert isinstance(root, Pairs)
    lines = text.splitlines(keepends=True)
    first = section.line - 1
    end = min((entry.line - 1 for entry in root.entries if entry.line > section.line), default=len(lines))
    return "".join("\n" if first <= number < end else line for number, line in enumerate(lines))
