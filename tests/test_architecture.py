"""The rules about the shape of this project: rooms and their walls, what is never written, what lies where."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "finalizer"
MOST_LINES = 400
ROOMS_WITH_A_CLOCK = {"shell", "client", "cli", "embedded", "bench"}
TOP_LEVEL = {
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "deploy",
    "docker-compose.yml",
    "finalizer",
    "pyproject.toml",
    "tests",
}


def sources(*folders: Path) -> list[Path]:
    """Return the Python files of these folders."""
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def place(path: Path, line: int) -> str:
    """Say where something is, as an editor takes it."""
    return f"{path.relative_to(PROJECT)}:{line}"


def broad_excepts(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that catch everything for good, that is, do not end in raising it again."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and ast.unparse(node.body[-1]) != "raise":
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in caught):
                yield node.lineno


def clock_reads(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that reach for a clock: the `time` module, or the present moment from `datetime`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(name.name == "time" for name in names):
                yield node.lineno
            case ast.ImportFrom(module="time"):
                yield node.lineno
            case ast.Attribute(attr="now" | "utcnow" | "today", value=owner) if "date" in ast.unparse(owner):
                yield node.lineno


def test_rooms_import_downwards_only() -> None:
    """The contracts in pyproject.toml hold: law, terms, codecs, road, shell, CLI, and none looks up or sideways."""
    script = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_room_says_what_it_is_for_and_what_it_never_does() -> None:
    """A maintainer who opens a room finds its purpose and its limits in its first lines."""
    for init in PACKAGE.rglob("__init__.py"):
        said = ast.get_docstring(ast.parse(init.read_text())) or ""
        assert said, f"{init.relative_to(PROJECT)} says nothing"
        if init.parent.parent == PACKAGE:
            assert re.search(r"\bnever\b", said, re.IGNORECASE), f"{init.relative_to(PROJECT)} names no limit"


def test_no_file_is_longer_than_one_takes_in() -> None:
    """A file over 400 lines is two files."""
    long = {
        place(path, n): n
        for path in sources(PACKAGE, PROJECT / "tests")
        if (n := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long


def test_nothing_catches_everything() -> None:
    """Three failures, three fates: a broad except would give bad data, overload and our own bugs the same one."""
    found = [place(path, line) for path in sources(PACKAGE) for line in broad_excepts(ast.parse(path.read_text()))]
    assert not found


@pytest.mark.parametrize("text", ["except:", "except Exception:", "except (OSError, BaseException) as e:"])
def test_every_kind_of_broad_except_is_seen(text: str) -> None:
    """The search that the rule above rests on finds what it is for, and leaves alone what is narrow or raises again."""
    assert list(broad_excepts(ast.parse(f"try:\n    x\n{text}\n    y\n"))) == [3]
    assert not list(broad_excepts(ast.parse(f"try:\n    x\n{text}\n    y\n    raise\n")))
    assert not list(broad_excepts(ast.parse("try:\n    x\nexcept (OSError, ValueError):\n    y\n")))


def test_time_is_an_argument() -> None:
    """Only shell, client, cli, embedded and bench ask what time it is; everything else is told."""
    timeless = [path for path in sources(PACKAGE) if path.relative_to(PACKAGE).parts[0] not in ROOMS_WITH_A_CLOCK]
    found = [place(path, line) for path in timeless for line in clock_reads(ast.parse(path.read_text()))]
    assert not found


@pytest.mark.parametrize("text", ["import time", "from time import monotonic", "datetime.now(UTC)", "dt.date.today()"])
def test_every_kind_of_clock_read_is_seen(text: str) -> None:
    """The search that the rule above rests on finds what it is for."""
    assert list(clock_reads(ast.parse(text))) == [1]


def test_nothing_new_lies_at_the_top() -> None:
    """A new name beside README.md needs a reason that is stronger than a place in one of the rooms."""
    git = shutil.which("git")
    if git is None or not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout, so there is no telling what belongs to the project")
    listed = subprocess.run(
        [git, "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_every_dependency_is_pinned_to_a_version_that_fits() -> None:
    """`make install` takes versions from constraints.txt alone: `name==version` for each dependency."""
    lines = [line for line in (PROJECT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", line) for line in lines)
    pinned = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement
