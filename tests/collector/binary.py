"""A stock OpenTelemetry collector: built once from its published Go modules, into a cache outside the repository.

`python -m tests.collector.binary` builds it where it is missing, and says where it lies.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RECIPE = Path(__file__).with_name("builder.yaml")
BUILDER = "go.opentelemetry.io/collector/cmd/builder"
OLDEST_GO = (1, 25)
BUILD_LIMIT_SECONDS = 1800


class CollectorUnavailable(Exception):
    """There is no collector here and none can be built. The message is one sentence that says what to install."""


def version() -> str:
    """The collector's version, as the recipe names it."""
    named = re.search(r"^  version: (\S+)$", RECIPE.read_text(), re.MULTILINE)
    assert named is not None
    return named[1]


def cached() -> Path:
    """Where a collector of this recipe lies, whether or not it is there yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    recipe = hashlib.sha256(RECIPE.read_bytes()).hexdigest()[:12]
    return Path(cache) / "span-finalizer" / f"otelcol-{version()}-{recipe}"


def otelcol() -> Path:
    """The collector's binary, built first where it is missing (some minutes, once). Raises `CollectorUnavailable`."""
    binary = cached()
    if binary.is_file():
        return binary
    go = compiler()
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as workplace:
        build(go, Path(workplace))
        # In one step, so that a broken build leaves nothing behind.
        (Path(workplace) / "otelcol" / "otelcol").rename(binary)
    return binary


def compiler() -> str:
    """The Go on the PATH. Raises `CollectorUnavailable` where there is none, or an old one."""
    go = shutil.which("go")
    wanted = ".".join(map(str, OLDEST_GO))
    if go is None:
        raise CollectorUnavailable(f"The collector is built with Go {wanted} or newer, and there is none on the PATH.")
    words = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", words)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GO:
        raise CollectorUnavailable(f"The collector is built with Go {wanted} or newer, and {go} is {words.strip()}.")
    return go


def build(go: str, into: Path) -> None:
    """Have the collector's own builder make it. Raises `CollectorUnavailable`."""
    command = [go, "run", f"{BUILDER}@v{version()}", "--config", str(RECIPE)]
    try:
        done = subprocess.run(
            command,
            cwd=into,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as slow:
        raise CollectorUnavailable(f"The collector was not built within {BUILD_LIMIT_SECONDS} s.") from slow
    if done.returncode != 0:
        raise CollectorUnavailable(f"The collector {version()} could not be built: {done.stderr.strip()[-500:]}")


def main() -> int:
    """Build it if need be; the problem is one sentence on standard error and exit code 1."""
    try:
        if not cached().is_file():
            print(f"Building the OpenTelemetry collector {version()} (once, some minutes)", flush=True)
        print(otelcol())
    except CollectorUnavailable as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
