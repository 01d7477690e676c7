from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Zenml

HEADER = "Running with active profile: 'default' (local)\n"
DEFAULTS = ("-m", "default", "-a", "default", "-o", "default")


def test_register_and_set_at_once(quiet: Zenml) -> None:
    assert quiet("stack", "register", "mine", *DEFAULTS, "--set").stdout == (
        f"{HEADER}Registered stack with name 'mine'.\nStack 'mine' successfully registered!\nActive stack set to: 'mine'\n"
    )
    assert quiet("stack", "get").stdout == f"{HEADER}The active stack is: 'mine'\n"
    assert quiet("stack", "set", "-g", "mine").stdout == f"{HEADER}Active global stack set to: 'mine'\n"


def test_describe(quiet: Zenml) -> None:
    assert quiet("stack", "describe").stdout == (
        f"{HEADER}"
        "        Stack Configuration\n"
        "┏━━━━━━━━━━━━━━━━┯━━━━━━━━━━━━━━━━┓\n"
        "┃ COMPONENT_TYPE │ COMPONENT_NAME ┃\n"
        "┠────────────────┼────────────────┨\n"
        "┃ ARTIFACT_STORE │ default        ┃\n"
        "┃ METADATA_STORE │ default        ┃\n"
        "┃ ORCHESTRATOR   │ default        ┃\n"
        "┗━━━━━━━━━━━━━━━━┷━━━━━━━━━━━━━━━━┛\n"
        "      'default' stack (ACTIVE)\n"
    )


def test_update_and_remove(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    quiet("secrets-manager", "register", "vault", "-f", "local")
    assert quiet("stack", "update", "-x", "vault").stdout == (
        f"{HEADER}Updated stack with name 'default'.\nStack `default` successfully updated!\n"
    )
    columns = quiet("stack", "list").stdout.splitlines()[2].strip("┃ ").split("│")
    assert [column.strip() for column in columns[2:]] == [
        "ARTIFACT_STORE",
        "METADATA_STORE",
        "ORCHESTRATOR",
        "SECRETS_MANAGER",
    ]
    removed = quiet("stack", "remove-component", "default", "--secrets-manager")
    assert removed.stdout.endswith("Stack `default` successfully updated!\n")
    assert "SECRETS_MANAGER" not in quiet("stack", "list").stdout


def test_rename_takes_the_active_setting_along(quiet: Zenml) -> None:
    quiet("stack", "register", "a", *DEFAULTS, "--set")
    assert quiet("stack", "rename", "a", "b").stdout.endswith("Stack `a` successfully renamed as `b`!\n")
    assert quiet("stack", "get").stdout == f"{HEADER}The active stack is: 'b'\n"


def test_delete(quiet: Zenml) -> None:
    quiet("stack", "register", "a", *DEFAULTS)
    assert quiet("stack", "delete", "a", "-y").stdout == (
        f"{HEADER}Deregistered stack with name 'a'.\nDeleted stack 'a'.\n"
    )
    assert quiet("stack", "delete", "a", "-y").exit_code == 1


def test_no_means_no(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenml.cli.terminal.has_keyboard", lambda: True)
    quiet("stack", "register", "a", *DEFAULTS)
    result = quiet("stack", "delete", "a", input="n\n")
    assert result.stdout == (
        f"{HEADER}This will delete stack 'a'. Are you sure you want to proceed? [y/N]: n\nStack deletion canceled.\n"
    )
    assert quiet("stack", "describe", "a").exit_code == 0


def test_copy_between_profiles(quiet: Zenml) -> None:
    quiet("profile", "create", "team")
    # Both have components 'default', with other paths.
    refused = quiet("stack", "copy", "default", "mine", "--to", "team")
    assert refused.exit_code == 1
    assert "Different components of the same name exist" in refused.stderr
    assert "`--rename`" in refused.stderr
    assert "`--overwrite`" in refused.stderr
    copied = quiet("stack", "copy", "default", "mine", "--to", "team", "--rename")
    assert copied.stdout.endswith(
        "Registered stack with name 'mine'.\nStack 'default' successfully copied to 'mine' in profile 'team'!\n"
    )
    again = quiet("stack", "copy", "default", "yours", "--to", "team", "--rename")
    assert again.stdout == (
        f"{HEADER}Registered stack with name 'yours'.\nStack 'default' successfully copied to 'yours' in profile 'team'!\n"
    )
    quiet("profile", "set", "team")
    assert quiet("stack", "list").stdout.count("default_2") >= 2
    assert quiet("stack", "copy", "mine", "mine", "--from", "team", "--to", "default").exit_code == 0


def test_export_and_import(quiet: Zenml) -> None:
    assert (
        quiet("stack", "export", "default").stdout
        == f"{HEADER}Exported stack 'default' to file 'default.yaml'.\n"
    )
    document = yaml.safe_load(Path("default.yaml").read_text())
    assert document["stack_name"] == "default"
    assert set(document["components"]) == {"artifact_store", "metadata_store", "orchestrator"}
    assert quiet("stack", "import", "again", "default.yaml").stdout == (
        f"{HEADER}Registered stack with name 'again'.\nImported stack 'again' from file 'default.yaml'.\n"
    )
    Path("other.yml").write_text(
        Path("default.yaml").read_text().replace("stack_name: default", "stack_name: named")
    )
    assert "Imported stack 'named' from file 'other.yml'." in quiet("stack", "import", "other.yml").stdout
    quiet("stack", "delete", "again", "-y")
    Path("default.yaml").rename("again.yaml")
    assert "Imported stack 'again' from file 'again.yaml'." in quiet("stack", "import", "again").stdout


def test_import_says_what_is_missing(quiet: Zenml) -> None:
    quiet("stack", "export", "default")
    document = yaml.safe_load(Path("default.yaml").read_text())
    document["components"]["alerter"] = {"name": "pager", "flavor": "pigeon", "coop": "north"}
    document["components"]["oracle"] = {"name": "delphi", "flavor": "pythia"}
    Path("big.yaml").write_text(yaml.dump(document))
    result = quiet("stack", "import", "big", "big.yaml")
    assert result.exit_code == 0, result.output
    assert "Before you can use it, register these flavors: alerter/pigeon" in result.stderr
    assert "This version knows no components of these types; they are kept: oracle" in result.stderr
    quiet("stack", "export", "big", "again.yaml")
    assert yaml.safe_load(Path("again.yaml").read_text())["components"]["oracle"] == {
        "name": "delphi",
        "flavor": "pythia",
    }


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("stack set defalt", "Stack 'defalt' does not exist. Did you mean 'default'?"),
        ("stack set --global defalt", "Stack 'defalt' does not exist. Did you mean 'default'?"),
        ("stack describe defalt", "Stack 'defalt' does not exist. Did you mean 'default'?"),
        ("stack delete defalt -y", "Stack 'defalt' does not exist. Did you mean 'default'?"),
        ("stack rename defalt x", "Stack 'defalt' does not exist. Did you mean 'default'?"),
        ("stack copy defalt x", "Stack 'defalt' does not exist. Did you mean 'default'?"),
        ("stack export defalt", "Stack 'defalt' does not exist. Did you mean 'default'?"),
        ("stack update defalt -o default", "Stack 'defalt' does not exist. Did you mean 'default'?"),
        (
            "stack register x -m default -a default -o defalt",
            "Orchestrator 'defalt' does not exist. Did you mean 'default'?",
        ),
        ("stack register default -m default -a default -o default", "Stack 'default' already exists"),
        ("stack register a/b -m default -a default -o default", "'a/b' cannot be the name of a stack"),
        ("stack update -o defalt", "Orchestrator 'defalt' does not exist. Did you mean 'default'?"),
        ("stack remove-component --alerter", "The stack 'default' has no alerter."),
        ("stack delete default -y", "Stack 'default' cannot be deleted because it's globally active"),
        ("stack import gone", "gone.yaml"),
        ("stack import empty", "This is no exported stack"),
    ],
)
def test_mistakes(quiet: Zenml, command: str, message: str) -> None:
    Path("empty.yaml").touch()
    result = quiet(*command.split())
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr


@pytest.mark.parametrize("command", ["stack update", "stack remove-component"])
def test_nothing_to_do_is_no_success(quiet: Zenml, command: str) -> None:
    result = quiet(*command.split())
    assert result.exit_code == 2
    assert "Error: Nothing to" in result.stderr


def test_a_stack_that_is_gone(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENML_ACTIVATED_STACK", "gone")
    refused = quiet("stack", "get")
    assert refused.exit_code == 1
    assert (
        "The active stack 'gone', set by the environment variable ZENML_ACTIVATED_STACK, does not exist"
        in refused.stderr
    )
    listed = quiet("stack", "list")
    assert listed.exit_code == 0
    assert "👉" not in listed.stdout
    assert quiet("stack", "register", "new", *DEFAULTS).exit_code == 0
    written = quiet("stack", "set", "new")
    assert written.stdout.endswith("Active stack set to: 'new'\n")
    assert "The environment variable ZENML_ACTIVATED_STACK is set and wins" in written.stderr


def test_up_and_down(quiet: Zenml) -> None:
    assert quiet("stack", "up").stdout == f"{HEADER}Provisioning resources for active stack 'default'.\n"
    assert quiet("stack", "down").stdout == f"{HEADER}Suspending resources for active stack 'default'.\n"
    assert (
        quiet("stack", "down", "--force").stdout
        == f"{HEADER}Deprovisioning resources for active stack 'default'.\n"
    )


def test_import_what_is_no_export(quiet: Zenml) -> None:
    missing = quiet("stack", "import", "team")
    assert (missing.exit_code, missing.stderr) == (
        1,
        "Error: There is no file 'team.yaml': give the FILENAME that `zenml stack export` wrote.\n",
    )
    Path("team.yaml").write_bytes(b"name: team\n\xff\n")
    garbage = quiet("stack", "import", "team")
    assert garbage.exit_code == 1
    assert "team.yaml, line 2: this is no UTF-8 text." in garbage.stderr
