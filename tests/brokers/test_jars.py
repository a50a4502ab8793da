"""Where Apache Kafka cannot run, one sentence says what to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.brokers import jars
from tests.brokers.jars import KafkaUnavailable


def stand_in(folder: Path, name: str, script: str) -> None:
    """Put a shell script of this name into a folder that is to be a PATH."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it, no JAVA_HOME, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


@pytest.mark.usefixtures("path")
def test_without_java_it_says_which_one_to_install() -> None:
    """No Java on the PATH is one sentence."""
    with pytest.raises(
        KafkaUnavailable, match=r"^Apache Kafka needs Java 17 or newer: install a JDK, or set JAVA_HOME\.$"
    ):
        jars.java()


def test_a_java_that_is_too_old_is_named(path: Path) -> None:
    """The sentence says which Java was found, where, and what is needed."""
    stand_in(path, "java", """echo 'openjdk version "11.0.20" 2023-07-18' >&2""")
    with pytest.raises(KafkaUnavailable, match=r"needs Java 17 or newer, and .*/bin/java is 11: set JAVA_HOME\.$"):
        jars.java()


def test_java_home_goes_before_the_path(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who set JAVA_HOME meant it."""
    home = tmp_path / "jdk"
    (home / "bin").mkdir(parents=True)
    stand_in(path, "java", """echo 'openjdk version "11.0.20"' >&2""")
    stand_in(home / "bin", "java", """echo 'openjdk version "21.0.1"' >&2""")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert jars.java() == str(home / "bin" / "java")


@pytest.mark.usefixtures("path")
def test_without_maven_it_says_what_to_install() -> None:
    """Maven is needed once, and only where the jars are not in the cache yet."""
    with pytest.raises(KafkaUnavailable, match="Maven: install it"):
        jars.kafka_jars()
    jars.cache_folder().mkdir(parents=True)
    assert jars.kafka_jars() == jars.cache_folder()


def test_a_fetch_that_failed_leaves_nothing_in_the_cache(path: Path) -> None:
    """What Maven says is repeated, and the next try starts from nothing."""
    stand_in(path, "mvn", "echo '[ERROR] no route to the repository'; exit 1")
    with pytest.raises(KafkaUnavailable, match=r"^Maven could not fetch Apache Kafka \S+ \[ERROR\] no route"):
        jars.kafka_jars()
    assert not jars.cache_folder().exists()


NEEDS_JAVA = "Apache Kafka needs Java 17 or newer: install a JDK, or set JAVA_HOME."


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--check"], f"NOT RUN, nothing was tested: {NEEDS_JAVA}\n"),
        ([], f"{NEEDS_JAVA} Or, without Java: docker compose up kafka\n"),
    ],
)
def test_make_ends_with_a_sentence_and_not_with_a_trace(flags: list[str], said: str) -> None:
    """`make test-kafka`, which begins with `--check`, says that nothing was tested, and `make kafka` what else there
    is; both end with 1."""
    command = [sys.executable, "-m", "tests.brokers.kafka", *flags]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == said
