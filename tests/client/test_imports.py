"""What an app gets with the client: nothing but Python, and little of that."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import finalizer.client

ROOM = Path(finalizer.client.__file__).parent
ONLY_WHERE_IT_IS_ASKED_FOR = {
    "aiokafka": {"sinks/aio.py"},
    "confluent_kafka": {"sinks/confluent.py"},
    "opentelemetry": {"otel.py"},
    "pytest": {"testing/plugin.py"},
}
SCRIPT = "import sys; import {module}; import json; print(json.dumps(sorted(sys.modules)))"


def loaded(module: str) -> set[str]:
    """The modules that a fresh interpreter has after this import."""
    script = SCRIPT.format(module=module)
    project = str(ROOM.parent.parent)
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {project!r}); {script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_it_needs_nothing_but_the_standard_library() -> None:
    """Third-party packages are imported where somebody has asked for a sink of theirs, and nowhere else."""
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names:
                place = str(path.relative_to(ROOM))
                assert name == "finalizer" or place in ONLY_WHERE_IT_IS_ASKED_FOR.get(name, set()), f"{place}: {name}"


def test_importing_it_is_light() -> None:
    """No event loop, no HTTP, no database, no worker: an app that imports it starts as fast as before."""
    heavy = {
        "asyncio",
        "aiokafka",
        "dataclasses",
        "faust",
        "http",
        "inspect",
        "logging",
        "msgspec",
        "orjson",
        "sqlite3",
    }
    assert loaded("finalizer.client") & heavy == set()


def test_spooling_and_sinks_are_loaded_when_they_are_used() -> None:
    """Who does not spool does not pay for SQLite, and the other way round."""
    assert "sqlite3" in loaded("finalizer.client.spool")
    assert "asyncio" not in loaded("finalizer.client.spool, finalizer.client.sinks.collector, finalizer.client.asgi")
