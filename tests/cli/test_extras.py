"""The client is installed without the worker's packages; then the commands say in one sentence what is missing."""

import subprocess
import sys

import pytest

from tests.cli.runs import environment

WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
sys.argv = ["finalizer", *{arguments!r}]
from finalizer.cli import main
main()
"""


def run_without(missing: list[str], *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of the command where these packages are not installed."""
    script = WITHOUT.format(missing=missing, arguments=list(arguments))
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), cwd="/", capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize("command", [["--help"], ["worker"], ["demo"], ["check"], ["send", "/dev/null"], ["tail"]])
def test_without_the_workers_packages_a_command_is_one_sentence(command: list[str]) -> None:
    """`pip install span-finalizer` alone brings the client: `finalizer` names the extra to install, exit code 1."""
    missing = ["aiohttp", "aiokafka", "click", "faust", "msgspec", "orjson", "prometheus_client", "rich", "yaml"]
    sentence = "finalizer: the command needs the package click, which is not installed: "
    assert run_without(missing, *command) == (1, sentence + "pip install 'span-finalizer[worker]'")


@pytest.mark.parametrize("missing", ["aiokafka", "msgspec", "yaml"])
def test_one_missing_package_is_named(missing: str) -> None:
    """Many programs have click: then it is the next package that is told, in the same sentence, without a trace."""
    code, said = run_without([missing], "worker")
    assert (code, f"the package {missing}" in said, "Traceback" in said) == (1, True, False), said


def test_a_missing_module_of_our_own_is_a_bug_with_its_trace() -> None:
    """The sentence is for packages that somebody can install; nobody can install a part of this one."""
    code, said = run_without(["finalizer.cli.worker"], "worker")
    assert (code, "Traceback" in said, "span-finalizer[worker]" in said) == (1, True, False), said
