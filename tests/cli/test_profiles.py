import errno
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Zenml
from zenml.config.global_config import GlobalConfiguration

HEADER = "Running with active profile: 'default' (local)\n"


def test_get_and_set(quiet: Zenml) -> None:
    quiet("profile", "create", "team")
    assert quiet("profile", "get").stdout == "Active profile is: default\n"
    assert quiet("profile", "set", "team").stdout == f"{HEADER}Active profile changed to: 'team'\n"
    again = quiet("profile", "set", "team")
    assert (
        again.stdout
        == "Running with active profile: 'team' (local)\nProfile 'team' is already the active one.\n"
    )
    everywhere = quiet("profile", "set", "--global", "team")
    assert everywhere.stdout.endswith("Active global profile changed to: 'team'\n")
    assert quiet("profile", "get").stdout == "Active profile is: team\n"


def test_a_repository_takes_the_stack_of_its_new_profile(quiet: Zenml) -> None:
    quiet("stack", "register", "mine", "-m", "default", "-a", "default", "-o", "default", "--set")
    quiet("profile", "create", "team")
    changed = quiet("profile", "set", "team")
    assert changed.stdout == f"{HEADER}Active profile changed to: 'team'\n"
    assert changed.stderr == "The active stack of this repository is now 'default', that of the profile.\n"
    quiet("profile", "set", "default")
    quiet("stack", "set", "mine")
    quiet("profile", "set", "default")  # it is already: nothing changes
    assert quiet("stack", "get").stdout.endswith("The active stack is: 'mine'\n")


def test_describe(quiet: Zenml, home: Path) -> None:
    described = quiet("profile", "describe", "default")
    url = f"file://{home}/.config/zenml/profiles/default"
    lines = described.stdout.splitlines()
    assert lines[0] == HEADER.strip()
    assert lines[1].strip() == "'default' Profile Configuration (ACTIVE)"
    assert [line.split("│")[0].strip("┃ ") for line in lines[5:-1]] == [
        "NAME",
        "STORE_URL",
        "STORE_TYPE",
        "ACTIVE_STACK",
    ]
    assert url[:30] in lines[6]
    quiet("profile", "create", "other")
    assert "(ACTIVE)" not in quiet("profile", "describe", "other").stdout


def test_a_database_as_store(quiet: Zenml, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/world.db"
    created = quiet("profile", "create", "db", "--store-type", "sql", "--url", url)
    assert created.stdout == (
        f"{HEADER}"
        "Initializing profile `db`...\n"
        "Initializing store...\n"
        "Registered stack component with type 'orchestrator' and name 'default'.\n"
        "Registered stack component with type 'metadata_store' and name 'default'.\n"
        "Registered stack component with type 'artifact_store' and name 'default'.\n"
        "Registered stack with name 'default'.\n"
        "Profile 'db' successfully created.\n"
    )
    quiet("profile", "set", "db")
    assert "👉" in quiet("stack", "list").stdout
    assert "sql" in quiet("profile", "list").stdout


def test_no_password_is_shown(quiet: Zenml, postgresql_database: str) -> None:
    url = postgresql_database.replace("://", "://", 1)
    scheme, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    secret = f"{scheme}://{(user.split(':')[0] or 'postgres')}:s3cret{at or '@'}{place}"
    result = quiet("profile", "create", "pg", "-t", "sql", "-u", secret)
    assert "s3cret" not in result.output
    if result.exit_code == 0:  # the server trusts this host, whatever the password
        for command in ("list", "describe pg", "list -o json", "describe pg -o yaml"):
            shown = quiet("profile", *command.split()).output
            assert "s3cret" not in shown
        assert ":***@" in quiet("profile", "describe", "pg", "-o", "json").stdout


def test_delete(quiet: Zenml, home: Path) -> None:
    quiet("profile", "create", "other")
    folder = home / ".config/zenml/profiles/other"
    assert folder.is_dir()
    assert quiet("profile", "delete", "other", "--yes").stdout == f"{HEADER}Deleted profile 'other'.\n"
    assert not folder.exists()


def test_explain(quiet: Zenml) -> None:
    assert quiet("profile", "explain").stdout.startswith("A profile is an isolated world:")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("profile set tema", "Profile 'tema' does not exist. Did you mean 'team'?"),
        ("profile describe tema", "Profile 'tema' does not exist. Did you mean 'team'?"),
        ("profile delete tema -y", "Profile 'tema' does not exist. Did you mean 'team'?"),
        ("profile create team", "Profile 'team' already exists."),
        ("profile create ../evil", "'../evil' cannot be the name of a profile"),
        ("profile create a/b", "'a/b' cannot be the name of a profile"),
        ("profile delete default -y", "Profile 'default' cannot be deleted because it's globally active."),
        ("profile create x --url http://host", "A local store is a folder"),
        ("profile create x -t sql --url nonsense", "URL"),
        ("stack copy default x --to tema", "Profile 'tema' does not exist. Did you mean 'team'?"),
    ],
)
def test_mistakes(quiet: Zenml, command: str, message: str) -> None:
    quiet("profile", "create", "team")
    result = quiet(*command.split())
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr


def test_an_empty_name(quiet: Zenml) -> None:
    assert "'' cannot be the name of a profile: it is empty." in quiet("profile", "create", "").stderr


def test_a_profile_that_is_gone(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENML_ACTIVATED_PROFILE", "gone")
    refused = quiet("stack", "list")
    assert refused.exit_code == 1
    assert (
        "The active profile 'gone', set by the environment variable ZENML_ACTIVATED_PROFILE, does not exist."
        in refused.stderr
    )
    assert "Set ZENML_ACTIVATED_PROFILE to an existing one, or unset it." in refused.stderr

    for command in (
        "profile list",
        "profile create new",
        "profile set default",
        "status",
        "--help",
        "profile describe default",
    ):
        assert quiet(*command.split()).exit_code == 0, command
    assert "'gone' (environment)" in quiet("profile", "list").stdout
    Path("nested").mkdir()
    assert quiet("init", "--path", "nested").exit_code == 0


def test_the_environment_wins_and_says_so(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet("profile", "create", "team")
    monkeypatch.setenv("ZENML_ACTIVATED_PROFILE", "team")
    assert quiet("stack", "get").stdout == (
        "Running with active profile: 'team' (environment)\nThe active stack is: 'default'\n"
    )
    written = quiet("profile", "set", "default")
    assert written.exit_code == 0
    assert written.stderr == (
        "The environment variable ZENML_ACTIVATED_PROFILE is set and wins: unset it to use what you have set now.\n"
    )


def test_init_twice(quiet: Zenml) -> None:
    result = quiet("init")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: Found existing ZenML repository at path '{Path.cwd()}'.\n",
    )


def test_a_configuration_that_cannot_be_read(quiet: Zenml, home: Path) -> None:
    Path(".zen/config.yaml").write_text("active_profile_name: [default\n")
    result = quiet("stack", "list")
    assert result.exit_code == 1
    assert f"{Path.cwd()}/.zen/config.yaml, line 2: this is no valid YAML" in result.stderr
    assert Path(".zen/config.yaml").read_text() == "active_profile_name: [default\n"


def test_status(quiet: Zenml, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setenv("ZENML_ACTIVATED_STACK", "gone")
    status = quiet("status")
    assert status.exit_code == 0
    rows = [tuple(cell.strip("┃ ") for cell in line.split("│")) for line in status.stdout.splitlines()[3:-1]]
    assert rows == [
        ("PROFILE", "default", f"local: {Path.cwd()}/.zen/config.yaml"),
        ("STACK", "gone", "environment: the environment variable ZENML_ACTIVATED_STACK"),
        ("REPOSITORY", str(Path.cwd()), "the working directory"),
        ("CONFIGURATION", str(home / ".config/zenml"), ""),
    ]
    assert status.stderr.startswith(
        "The active stack 'gone', set by the environment variable ZENML_ACTIVATED_STACK, does not exist"
    )


def test_init_with_a_dangling_profile_says_so(zenml: Zenml, home: Path) -> None:
    zenml("profile", "list")
    file = GlobalConfiguration().file
    file.write_text(file.read_text().replace("activated_profile: default", "activated_profile: gone"))
    made = zenml("init")
    assert made.exit_code == 0
    assert "initialized to 'gone' and no local active stack was set." in " ".join(made.stdout.split())
    assert "The active profile 'gone', set by" in made.stderr


def test_init_that_fails_leaves_no_repository(
    quiet: Zenml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "fresh"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        refused = quiet("init", "--path", folder)
    assert refused.exit_code == 1
    assert "config.yaml' cannot be written: No space left on device." in refused.stderr
    assert not (folder / ".zen").exists()
    assert quiet("init", "--path", folder).exit_code == 0
