"""A package that is not installed, said in one sentence: the client comes alone, the commands need more."""

from __future__ import annotations

import sys

WRONG_CONFIGURATION = 1


def explained(missing: ModuleNotFoundError) -> int:
    """Say what to install and return the exit code. Raises `missing` again where it is a module of our own: our bug."""
    package = (missing.name or "").partition(".")[0]
    if package in ("", "finalizer"):
        raise missing
    sys.stderr.write(
        f"finalizer: the command needs the package {package}, which is not installed: "
        "pip install 'span-finalizer[worker]'\n"
    )
    return WRONG_CONFIGURATION
