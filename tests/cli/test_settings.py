"""Where a setting comes from: flag, environment, `worker:` in finalizer.yaml, default, in this order."""

from pathlib import Path

import pytest

from tests.cli.runs import run

NOBODY = "No Kafka broker answers at"


def yaml(folder: Path, text: str) -> Path:
    """Write a finalizer.yaml."""
    (folder / "finalizer.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("flag", "variable", "file", "used"),
    [
        ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:1"),
        (None, "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:2"),
        (None, None, "127.0.0.1:3", "127.0.0.1:3"),
        (None, "", "127.0.0.1:3", "127.0.0.1:3"),
    ],
)
def test_the_nearer_setting_wins(flag: str | None, variable: str | None, file: str, used: str, tmp_path: Path) -> None:
    """Flag before environment before file; an empty variable is as good as none."""
    arguments = [] if flag is None else ["--broker", flag]
    env = {} if variable is None else {"FINALIZER_BROKER": variable}
    ran = run("send", *arguments, env=env, folder=yaml(tmp_path, f"worker: {{broker: '{file}'}}\n"))
    assert f"{NOBODY} {used}" in ran.sentence


def test_the_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    """FINALIZER_CONFIG stands for --config, and what it names must exist."""
    (tmp_path / "other.yaml").write_text("worker:\n  broker: 127.0.0.1:7\n")
    ran = run("send", env={"FINALIZER_CONFIG": str(tmp_path / "other.yaml")})
    assert f"{NOBODY} 127.0.0.1:7" in ran.sentence
    assert run("send", env={"FINALIZER_CONFIG": "/nowhere.yaml"}).code == 1


def test_a_policy_beside_the_worker_section_keeps_its_lines(tmp_path: Path) -> None:
    """Problems in the section and in the policy are told together, each with the line where it stands."""
    text = "worker:\n  web_prot: 1\n  web_port: high\n  broker: [a]\nterms:\n  silense: 1h\n"
    ran = run("check", "--broker", "127.0.0.1:1", folder=yaml(tmp_path, text))
    assert ran.code == 1
    assert "1. finalizer.yaml:2: worker.web_prot: no such option; did you mean web_port?" in ran.out
    assert "2. finalizer.yaml:3: worker.web_port: 'high' is not a valid integer" in ran.out
    assert "3. finalizer.yaml:4: worker.broker: a single value is expected" in ran.out
    assert "4. finalizer.yaml:6: terms" in ran.out
    assert "silence" in ran.out
    assert run("worker", folder=tmp_path).code == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("worker: 7\n", "finalizer.yaml:1: worker: options by name are expected"),
        ("worker:\n  broker: 127.0.0.1:1\n  broker: 127.0.0.1:2\n", "finalizer.yaml:3: worker.broker: given twice"),
        ("worker: {broker: }\n", "finalizer.yaml:1: worker.broker: a value is missing"),
        ("terms: [\n", "finalizer.yaml:2: not valid YAML"),
        ("\tx: 1", "finalizer.yaml:1: not valid YAML"),
    ],
)
def test_a_broken_file_is_told_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    """Whatever is wrong with the file ends in its name, a line and a sentence, and exit code 1."""
    ran = run("send", folder=yaml(tmp_path, text))
    assert ran.code == 1
    assert said in ran.sentence


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    """A binary in place of the configuration is no trace."""
    (tmp_path / "finalizer.yaml").write_bytes(b"\xff\xfe\x00")
    ran = run("send", folder=tmp_path)
    assert (ran.code, ran.sentence) == (1, "finalizer: finalizer.yaml is not UTF-8 text (byte 0).")


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    """FINALIZER_SASL_PASSWORD_FILE names a file with the password, whose last line feed does not belong to it."""
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    login = ("send", "--security-protocol", "SASL_PLAINTEXT", "--sasl-username", "me", "--broker", "127.0.0.1:1")
    assert run(*login).code == 1
    assert run(*login, env={"FINALIZER_SASL_PASSWORD_FILE": str(secret)}).code == 3


def test_a_secret_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """The sentence names the variable and the file."""
    ran = run("send", env={"FINALIZER_SASL_PASSWORD_FILE": str(tmp_path / "none")})
    assert (ran.code, ran.sentence) == (
        1,
        f"finalizer: FINALIZER_SASL_PASSWORD_FILE: {tmp_path}/none: No such file or directory.",
    )


def test_a_secret_that_is_given_twice_is_told(tmp_path: Path) -> None:
    """Which of variable and file counts is not guessed."""
    env = {"FINALIZER_SASL_PASSWORD": "a", "FINALIZER_SASL_PASSWORD_FILE": str(tmp_path)}
    assert "are both set" in run("send", env=env).sentence


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "OAUTHBEARER needs either --sasl-tokenfile or --sasl-token-url."),
        ({"--sasl-tokenfile": "a", "--sasl-token-url": "b"}, "OAUTHBEARER needs either"),
        ({"--sasl-tokenfile": "/nowhere"}, "--sasl-tokenfile /nowhere cannot be used: No such file or directory."),
        ({"--sasl-token-url": "http://127.0.0.1:1/"}, "--sasl-token-url needs --sasl-username and --sasl-password."),
    ],
)
def test_where_a_token_comes_from_is_told_in_one_way(given: dict[str, str], said: str) -> None:
    """A login by token names a file that can be read, or an endpoint with the client's id and secret: else exit 1."""
    login = {"--security-protocol": "SASL_SSL", "--sasl-mechanism": "OAUTHBEARER", "--broker": "127.0.0.1:1", **given}
    ran = run("send", *(part for option in login.items() for part in option))
    assert ran.code == 1
    assert said in ran.sentence
