import json
from pathlib import Path

import pytest

from tests.cli.conftest import Zenml


@pytest.fixture
def vault(quiet: Zenml) -> Zenml:
    quiet("secrets-manager", "register", "vault", "-f", "local")
    quiet("stack", "update", "-x", "vault")
    return quiet


def test_help_needs_no_secrets_manager(quiet: Zenml) -> None:
    for command in ("register", "list", "get", "update", "delete", "cleanup"):
        assert quiet("secret", command, "--help").exit_code == 0


def test_without_a_secrets_manager(quiet: Zenml) -> None:
    result = quiet("secret", "list")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: The active stack 'default' has no secrets manager. Register one with `zenml secrets-manager register NAME "
        "--flavor=local` and add it with `zenml stack update default -x NAME`.\n"
    )


def test_the_life_of_a_secret(vault: Zenml) -> None:
    Path("password").write_text("geh@im")
    assert vault(
        "secret", "register", "db", "--user=ann", "--password=@password", "--mail", "@@x"
    ).stdout == (
        "┏━━━━━━━━━━━━┯━━━━━━━━━━━━━━┓\n"
        "┃ SECRET_KEY │ SECRET_VALUE ┃\n"
        "┠────────────┼──────────────┨\n"
        "┃ user       │ ***          ┃\n"
        "┃ password   │ ***          ┃\n"
        "┃ mail       │ ***          ┃\n"
        "┗━━━━━━━━━━━━┷━━━━━━━━━━━━━━┛\n"
        "Registered secret `db`.\n"
    )
    assert json.loads(vault("secret", "get", "db", "-o", "json").stdout) == {
        "name": "db",
        "content": {"user": "ann", "password": "geh@im", "mail": "@x"},
    }
    updated = vault("secret", "update", "db", "--user=bob")
    assert updated.stdout.endswith("Secret with name 'db' has been updated.\n")
    assert "bob" not in updated.stdout
    assert vault("secret", "get", "db").stdout == (
        "┏━━━━━━━━━━━━┯━━━━━━━━━━━━━━┓\n"
        "┃ SECRET_KEY │ SECRET_VALUE ┃\n"
        "┠────────────┼──────────────┨\n"
        "┃ user       │ bob          ┃\n"
        "┃ password   │ geh@im       ┃\n"
        "┃ mail       │ @x           ┃\n"
        "┗━━━━━━━━━━━━┷━━━━━━━━━━━━━━┛\n"
    )
    assert vault("secret", "list").stdout == (
        "    Secrets\n┏━━━━━━━━━━━━━┓\n┃ SECRET_NAME ┃\n┠─────────────┨\n┃ db          ┃\n┗━━━━━━━━━━━━━┛\n"
    )
    assert vault("secret", "delete", "db", "-y").stdout == "Deleted secret `db`.\n"
    assert vault("secret", "list").stdout == "No secrets registered.\n"


def test_cleanup(vault: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenml.cli.terminal.has_keyboard", lambda: True)
    vault("secret", "register", "a", "--x=1")
    vault("secret", "register", "b", "--x=1")
    assert vault("secret", "delete", "a", input="n\n").stdout.endswith("Aborting secret deletion...\n")
    assert vault("secret", "cleanup", input="n\n").stdout.endswith("Aborting secret deletion...\n")
    assert json.loads(vault("secret", "list", "-o", "json").stdout) == [{"name": "a"}, {"name": "b"}]
    assert vault("secret", "cleanup", "--yes").stdout == "Deleted all secrets.\n"
    assert json.loads(vault("secret", "list", "-o", "json").stdout) == []


def test_interactive(vault: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = vault("secret", "register", "db", "-i", input="user\nann\n\n")
    assert refused.exit_code == 2
    assert "there is no terminal to answer on" in refused.stderr
    monkeypatch.setattr("zenml.cli.terminal.has_keyboard", lambda: True)
    registered = vault("secret", "register", "db", "-s", "basic_auth", "-i", input="ann\ns3cret\n")
    assert registered.exit_code == 0, registered.output
    assert "s3cret" not in registered.output
    vault("secret", "register", "free", "-i", input="token\nabc\n\n")
    assert json.loads(vault("secret", "get", "free", "-o", "json").stdout)["content"] == {"token": "abc"}
    vault("secret", "update", "db", "-i", input="\nnew\n")
    content = json.loads(vault("secret", "get", "db", "-o", "json").stdout)["content"]
    assert content == {"username": "ann", "password": "new"}


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("secret get databse", 1, "has no secret 'databse'. Did you mean 'database'?"),
        ("secret update databse --user=x", 1, "has no secret 'databse'. Did you mean 'database'?"),
        ("secret delete databse -y", 1, "has no secret 'databse'. Did you mean 'database'?"),
        ("secret register database --user=x", 1, "The secret 'database' already exists"),
        ("secret register env --user=x", 1, "'env' cannot be the name of a secret"),
        ("secret register a/b --user=x", 1, "'a/b' cannot be the name of a secret"),
        (
            "secret register x --schema basic_auth --username=x",
            1,
            "password: is required, but it is not given.",
        ),
        ("secret register x --schema basic --username=x", 1, "There is no secret schema 'basic'."),
        ("secret register x", 2, "A secret needs at least one --KEY=VALUE"),
        ("secret update database", 2, "Nothing to update"),
        ("secret register x --name=y", 2, "'name' cannot be a key: it is the secret's own name."),
        ("secret update database --name=y", 2, "'name' cannot be a key: it is the secret's own name."),
    ],
)
def test_mistakes(vault: Zenml, command: str, code: int, message: str) -> None:
    vault("secret", "register", "database", "--user=ann")
    result = vault(*command.split())
    assert result.exit_code == code
    assert message in result.stderr
