"""Which of the two runs here: the compiled rooms, or the sources they were made from (RATIONALE: compiled).

Installing compiles `MODULES` with mypyc where a C compiler is at hand. Compiled modules are used all or none, and only
while they were made from the very sources that lie beside them: edit one, and all of them are read from their sources
again, until the next `make install`. `SPAN_FINALIZER_PURE=1` asks for the sources, at run time and when a wheel is
built.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

MODULES = (
    "core/by_value",
    "core/deadlines",
    "core/due",
    "core/effects",
    "core/fingerprints",
    "core/fold",
    "core/lifecycle",
    "core/model",
    "core/remembered",
    "core/safety",
    "core/spans",
    "core/state",
    "core/watch",
    "codecs/body",
    "codecs/flat",
    "codecs/headers",
    "codecs/ids",
    "codecs/json_logs",
    "codecs/json_span",
    "codecs/json_spans",
    "codecs/log_resource",
    "codecs/native",
    "codecs/otlp",
    "codecs/otlp_ids",
    "codecs/otlp_json",
    "codecs/otlp_spans",
    "codecs/otlp_words",
    "codecs/partial_log",
    "codecs/proto_logs",
    "codecs/proto_span",
    "codecs/proto_spans",
    "codecs/record_batch",
    "codecs/record_headers",
    "codecs/short",
    "codecs/state",
    "codecs/subject",
    "codecs/wire",
    "changelog",
    "decision",
    "pipeline",
    "shell/outbox",
    "shell/placement",
)
"""What is paid for each record. Where msgspec Structs are defined nothing is compiled: a class would lose its hints."""
SWITCH = "SPAN_FINALIZER_PURE"
WITNESS = "compiled.txt"
"""The file that says of which sources, and for which interpreter, the compiled modules were made."""
PACKAGE = Path(__file__).parent


class Running(Enum):
    """What runs, in the words of `/version`, `build_info` and the log."""

    COMPILED = "compiled"
    PURE = "pure"
    """Nothing was compiled, or `SPAN_FINALIZER_PURE` asks for this."""
    OUTDATED = "outdated"
    """Pure, because a source has changed since it was compiled."""

    @property
    def sentence(self) -> str:
        """What it means for whoever installs, or runs a worker."""
        return _SENTENCES[self]


_SENTENCES = {
    Running.COMPILED: "The inner rooms are compiled.",
    Running.PURE: "Pure Python runs, at about half the speed: there was no C compiler, or SPAN_FINALIZER_PURE is set.",
    Running.OUTDATED: "Pure Python runs, at about half the speed: sources have changed; make install compiles them.",
}


def sources(package: Path = PACKAGE) -> list[Path]:
    """The files that are compiled."""
    return [package / f"{module}.py" for module in MODULES]


def statement(package: Path = PACKAGE) -> str:
    """What the witness says of modules that are made of these sources, for this interpreter."""
    made_of = blake2b(digest_size=16)
    for source in sources(package):
        made_of.update(source.read_bytes())
    return f"{EXTENSION_SUFFIXES[0]} {made_of.hexdigest()}\n"


def choose(environment: Mapping[str, str], package: Path = PACKAGE) -> Running:
    """What is to run. Compiled modules for which nobody vouches are as good as none."""
    witness = package / WITNESS
    if environment.get(SWITCH, "") not in ("", "0") or not witness.exists():
        return Running.PURE
    return Running.COMPILED if witness.read_text() == statement(package) else Running.OUTDATED


class SourcesOnly(MetaPathFinder):
    """Finds the sources of our modules, and nothing that was made of them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("finalizer.") or path is None:
            return None
        folders = (FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)) for folder in path)
        return next((found for folder in folders if (found := folder.find_spec(fullname))), None)


def arrange() -> Running:
    """Have the right modules found from now on, and tell which they are."""
    running = choose(os.environ)
    if running is not Running.COMPILED:
        sys.meta_path.insert(0, SourcesOnly())
    return running
