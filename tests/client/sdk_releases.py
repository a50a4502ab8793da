"""The span processor on releases of the SDK: `python -m tests.client.sdk_releases [1.39 1.45 …]`, else all supported.

Each release is installed into a folder of its own, which then comes before everything else on the path.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from typing import Final

OLDER: Final = 6
"""Minor releases that are supported beside the newest, which is the one that is installed."""
TESTS: Final = ("tests/client/test_otel.py", "tests/client/test_served.py")
THEIR_WARNING: Final = "ignore:SelectableGroups dict interface:DeprecationWarning"
"""Python 3.11 says it when 1.42 is imported; for our tests a warning is an error, and this one is nobody's here."""


def releases() -> list[str]:
    """All that are supported, the oldest first."""
    major, minor = map(int, version("opentelemetry-sdk").split(".")[:2])
    return [f"{major}.{number}" for number in range(minor - OLDER, minor + 1)]


def passes(release: str) -> bool:
    """True if the tests pass on the last patch of this release."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-warn-conflicts", "--target", folder]
        subprocess.run([*pip, f"opentelemetry-sdk=={release}.*"], check=True)
        environment = {**os.environ, "PYTHONPATH": folder}
        installed = "from importlib.metadata import version; print('opentelemetry-sdk', version('opentelemetry-sdk'))"
        subprocess.run([sys.executable, "-c", installed], check=True, env=environment)
        tests = [sys.executable, "-m", "pytest", "-q", "-W", THEIR_WARNING, *TESTS]
        return subprocess.run(tests, check=False, env=environment).returncode == 0


def main(*chosen: str) -> int:
    """Run them; the exit code is 1 if one fails."""
    failed = [release for release in chosen or releases() if not passes(release)]
    print(f"failed on {', '.join(failed)}" if failed else "every release passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
