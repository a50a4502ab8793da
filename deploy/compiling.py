"""A step of building the package: its inner rooms are compiled with mypyc where that is possible (finalizer/compiled.py
says why). setuptools finds it by `tool.setuptools.cmdclass`.

Whatever goes wrong there is told, and the package is then pure Python: it does the same, slower.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError

HERE = Path(__file__).parent.parent
COMPILED = SimpleNamespace(**runpy.run_path(str(HERE / "finalizer/compiled.py")))
OPTIONS = ["--config-file=", "--follow-imports=silent", "--ignore-missing-imports"]


class BuildRooms(build_ext):
    """Compiles, and leaves a witness of what the compiled modules were made of."""

    def finalize_options(self) -> None:
        why = obstacle()
        if why:
            print(f"pure Python, because {why}")
        # What pyproject.toml names only says that there is something to compile; what it is can be told here.
        if self.distribution.ext_modules and not self.distribution.ext_modules[0].sources:
            self.distribution.ext_modules = [] if why else modules()
        super().finalize_options()

    def run(self) -> None:
        for old in (COMPILED.PACKAGE / COMPILED.WITNESS, *COMPILED.PACKAGE.rglob("*.so")):
            old.unlink(missing_ok=True)
        if not self.extensions:
            return
        try:
            super().run()
        except BaseError as error:
            self.warn(f"pure Python, because compiling failed: {error}")
            return
        package = COMPILED.PACKAGE if self.inplace else Path(self.build_lib, "finalizer")
        (package / COMPILED.WITNESS).write_text(COMPILED.statement())


def obstacle() -> str:
    """Why nothing can be compiled here; empty where it can."""
    if os.environ.get(COMPILED.SWITCH, "") not in ("", "0"):
        return f"{COMPILED.SWITCH} is set"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "the headers of Python are not installed"
    return ""


def modules() -> list[Any]:
    """The extension modules; none where mypyc will not make them."""
    try:
        from mypyc.build import mypycify  # noqa: PLC0415  # only where there is something to compile

        files = [str(source.relative_to(HERE)) for source in COMPILED.sources()]
        made: list[Any] = mypycify([*OPTIONS, *files], opt_level="3", debug_level="0", group_name="finalizer.rooms")
    except (ImportError, SystemExit) as error:
        print(f"pure Python, because mypyc failed: {error}")
        return []
    return made
