"""What repeats code is generated from it, and nothing is left out."""

from __future__ import annotations

import re

import click

from finalizer.cli.group import COMMANDS, group
from finalizer.codecs.native_event import NativeEvent
from finalizer.compiled import WITNESS
from finalizer.shell.metrics_catalogue import METRICS, PREFIX
from finalizer.shell.stop import Exit
from tests.docs.generate import BLOCKS
from tests.docs.page import PROJECT, README, block_names, differing
from tests.docs.tables import house

TEXT = README.read_text()


def test_generated_blocks_are_as_the_code_says() -> None:
    """A table that repeats code cannot grow old: `python -m tests.docs.generate` makes it anew."""
    assert not differing(TEXT, BLOCKS), "run python -m tests.docs.generate"


def test_a_stale_block_is_seen() -> None:
    """The comparison that the rule above rests on finds one changed word."""
    assert "causes" in differing(TEXT.replace("it beat, and then it stopped", "it stopped"), BLOCKS)


def test_every_block_stands_on_the_page_once() -> None:
    """Nothing is generated for nobody, and nobody copies a table by hand."""
    assert sorted(block_names(TEXT)) == sorted(BLOCKS)


def test_the_map_is_the_tree() -> None:
    """A newcomer finds every file of the package on the map, where it is, and no other."""
    found, folders = set(), list[str]()
    for line in house().splitlines()[2:-1]:
        branch = re.match(r"((?:│   |    )*)[├└]── (\S+)", line)
        assert branch is not None, line
        depth, name = len(branch[1]) // 4, branch[2]
        del folders[depth:]
        if name.endswith("/"):
            folders.append(name)
        else:
            found.add("".join([*folders, name]))
    package = PROJECT / "finalizer"
    tree = {path.relative_to(package).as_posix() for path in package.rglob("*.*") if "__pycache__" not in path.parts}
    kept = {path for path in tree if not path.endswith(("__init__.py", "py.typed", ".so", WITNESS))}
    assert found == kept


def test_every_module_says_what_it_is() -> None:
    """Each line of the map has its sentence; only a folder without modules has none."""
    names = [line.strip("│├└─ ") for line in house().splitlines()[1:-1]]
    assert [name for name in names if "  " not in name] == ["vectors/", "schemas/"]


def test_every_metric_is_told_and_every_metric_that_is_told_exists() -> None:
    """Who is paged by a metric finds it here, and a query copied from here finds a metric."""
    assert all(f"`{PREFIX}{name}" in TEXT for name in METRICS)
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(rf"\b{PREFIX}(\w+)", TEXT)}
    assert told <= set(METRICS)


def test_every_option_is_told_and_every_variable_exists() -> None:
    """Each option of each command stands in the table with its variable, and no variable is made up."""
    commands = [group.get_command(click.Context(group), name) for name in COMMANDS]
    options = [one for command in commands if command for one in command.params if isinstance(one, click.Option)]
    own = [one for one in options if one.envvar]
    assert all(f"| `{one.opts[0]}`" in TEXT and f"`{one.envvar}`" in TEXT for one in own)
    variables = {name.removesuffix("_FILE") for name in re.findall(r"\bFINALIZER_[A-Z_]+\b", TEXT)}
    assert variables <= {str(one.envvar) for one in own}


def test_every_exit_code_is_told() -> None:
    """An orchestrator's log shows a number; the page says what to do about it."""
    assert all(f"| {int(code)} | `{code.name}` |" in TEXT for code in Exit)


def test_every_field_of_an_event_is_told() -> None:
    """Who writes a client finds each field that a worker reads."""
    section = TEXT.partition("### The event\n")[2].partition("\n### ")[0]
    fields = NativeEvent.__struct_encode_fields__
    assert [name for name in fields if f"`{name}`" not in section] == []
