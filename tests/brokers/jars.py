"""Apache Kafka as Maven publishes it: some ninety jars, fetched once into a cache outside the repository."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

KAFKA_VERSION = "4.3.0"
POM = Path(__file__).with_name("pom.xml")
OLDEST_JAVA = 17
FETCH_LIMIT_SECONDS = 600


class KafkaUnavailable(Exception):
    """Apache Kafka cannot run here. The message is one sentence that says what to install or look at."""


def java() -> str:
    """Return the Java to use: the one of ``JAVA_HOME``, else the one on the PATH. Raises ``KafkaUnavailable``."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        raise KafkaUnavailable(f"Apache Kafka needs Java {OLDEST_JAVA} or newer: install a JDK, or set JAVA_HOME.")
    words = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', words)
    if version is None or int(version[1]) < OLDEST_JAVA:
        is_now = f"{found} is {version[1]}" if version else f"{found} does not tell its version"
        raise KafkaUnavailable(f"Apache Kafka needs Java {OLDEST_JAVA} or newer, and {is_now}: set JAVA_HOME.")
    return found


def cache_folder() -> Path:
    """Return where the jars of this version lie, whether or not they are there yet."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "span-finalizer" / f"kafka-{KAFKA_VERSION}"


def kafka_jars() -> Path:
    """Return the folder with the jars, and fetch them first where they are missing. Raises ``KafkaUnavailable``."""
    folder = cache_folder()
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("The jars of Apache Kafka are fetched by Maven: install it (mvn), it is needed once.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as workplace:
        fetched = Path(workplace) / "lib"
        shutil.copy(POM, workplace)
        fetch(maven, Path(workplace), fetched)
        # In one step, so that a broken fetch leaves nothing behind; a second process may have been faster.
        if not folder.is_dir():
            fetched.rename(folder)
    return folder


def fetch(maven: str, workplace: Path, into: Path) -> None:
    """Have Maven copy the jars of ``workplace/pom.xml`` into a folder."""
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into}", f"-Dkafka.version={KAFKA_VERSION}"]
    try:
        done = subprocess.run(
            [maven, "--batch-mode", "--quiet", *goal],
            cwd=workplace,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as slow:
        raise KafkaUnavailable(f"Maven did not fetch Apache Kafka within {FETCH_LIMIT_SECONDS} s.") from slow
    if done.returncode != 0:
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
        raise KafkaUnavailable(f"Maven could not fetch Apache Kafka {KAFKA_VERSION}. {' '.join(errors[:1])}".strip())
