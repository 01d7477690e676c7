import json
from pathlib import Path

import pytest

from tests.cli.conftest import Zenml, own_imports
from zenml.enums import StackComponentType

HEADER = "Running with active profile: 'default' (local)\n"
STACK = "Running with active stack: 'default'\n"

FLAVORS = """\
from typing import ClassVar, Optional

from zenml.alerters import BaseAlerter
from zenml.artifact_stores import BaseArtifactStore
from zenml.stack import StackComponent


class Bell(BaseAlerter):
    FLAVOR: ClassVar[str] = "bell"
    rings: int = 3
    to: list[str]
    options: dict[str, int] = {}
    api_key: Optional[str] = None

    def post(self, message, config=None):
        return True


class Store(BaseArtifactStore):
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"custom://"}


class Local(Bell):
    FLAVOR: ClassVar[str] = "email"


class Abstract(Bell):
    FLAVOR: ClassVar[str] = "abstract"

    from abc import abstractmethod

    @abstractmethod
    def reach_out(self): ...


class Nothing:
    pass
"""


@pytest.fixture
def bell(quiet: Zenml) -> Zenml:
    """In a repository with the alerter flavor `bell`."""
    Path("flavors.py").write_text(FLAVORS)

    def run(*arguments: str, **options: str | None) -> object:
        with own_imports():
            return quiet(*arguments, **options)

    run("alerter", "flavor", "register", "flavors.Bell")
    return run


def configuration(zenml: Zenml, name: str, type_: str = "alerter") -> dict[str, object]:
    result = zenml(type_, "describe", name, "-o", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)["configuration"]
    return found


def test_register_with_values_of_every_form(bell: Zenml) -> None:
    Path("people.json").write_text('["ann", "bob"]')
    result = bell(
        "alerter",
        "register",
        "door",
        "--flavor=bell",
        "--to=@people.json",
        "--rings",
        "5",
        '--options={"loud": 1}',
    )
    assert result.stdout == (
        f"{HEADER}Registered stack component with type 'alerter' and name 'door'.\nSuccessfully registered alerter `door`.\n"
    )
    assert configuration(bell, "door") == {"to": ["ann", "bob"], "rings": 5, "options": {"loud": 1}}
    bell("alerter", "register", "two", "-f", "bell", '--to=["@x"]', "--api-key={{env.KEY}}")
    assert configuration(bell, "two") == {"to": ["@x"], "rings": 3, "options": {}, "api_key": "{{env.KEY}}"}


def test_every_mistake_at_once(bell: Zenml) -> None:
    result = bell("alerter", "register", "door", "-f", "bell", "--rings=many", "--optons={}")
    assert (result.exit_code, result.stdout) == (1, HEADER)
    assert result.stderr == (
        "Error: The alerter 'door' of flavor 'bell' cannot be configured so:\n"
        "  rings: Input should be a valid integer, unable to parse string as an integer.\n"
        "  to: is required, but it is not given.\n"
        "  optons: the flavor 'bell' has no such field. Did you mean 'options'?\n"
    )


def test_list_describe_and_get(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    quiet("artifact-store", "register", "disk", "-f", "local", "--path=/tmp/disk")
    listed = quiet("artifact-store", "list").stdout
    assert listed.startswith(HEADER + STACK)
    rows = [[cell.strip("┃ ") for cell in line.split("│")] for line in listed.splitlines()[3:]]
    assert rows[0] == ["ACTIVE", "NAME", "FLAVOR", "UUID", "PATH", "DURABILITY"]
    assert [row[:3] for row in rows[2:-1]] == [["👉", "default", "local"], ["", "disk", "local"]]

    described = quiet("artifact-store", "describe").stdout.splitlines()
    assert described[2] == "No component name given; using `default` from active stack."
    assert described[3].strip() == "ARTIFACT_STORE Component Configuration (ACTIVE)"
    properties = [line.split("│")[0].strip("┃ ") for line in described[7:-1]]
    assert properties == ["TYPE", "FLAVOR", "NAME", "UUID", "PATH"]
    assert "(ACTIVE)" not in quiet("artifact-store", "describe", "disk").stdout

    assert quiet("artifact-store", "get").stdout == f"{HEADER}{STACK}Active artifact store: 'default'\n"
    assert quiet("alerter", "get").stdout == f"{HEADER}{STACK}No alerter set for active stack ('default').\n"
    assert (
        quiet("container-registry", "list").stdout == f"{HEADER}{STACK}No container registries registered.\n"
    )


def test_update_and_remove_attribute(bell: Zenml) -> None:
    bell("alerter", "register", "door", "-f", "bell", '--to=["ann"]', "--rings=9")
    updated = bell("alerter", "update", "door", "--rings=1", '--to=["bob"]')
    assert updated.stdout == (
        f"{HEADER}Updated stack component with type 'alerter' and name 'door'.\nSuccessfully updated alerter `door`.\n"
    )
    assert configuration(bell, "door") == {"to": ["bob"], "rings": 1, "options": {}}
    assert bell("alerter", "remove-attribute", "door", "--rings").exit_code == 0
    assert configuration(bell, "door") == {"to": ["bob"], "rings": 3, "options": {}}
    for option, message in {
        "--to": "The field 'to' is required: change it with `update` instead.",
        "--ring": "The flavor 'bell' has no field 'ring'. Did you mean 'rings'?",
        "--uuid": "The uuid of a component cannot be changed so: there is `rename`.",
    }.items():
        refused = bell("alerter", "remove-attribute", "door", option)
        assert (refused.exit_code, refused.stderr) == (1, f"Error: {message}\n")
    assert bell("alerter", "remove-attribute", "door").exit_code == 2
    assert bell("alerter", "update", "door").exit_code == 2


def test_rename_copy_delete(quiet: Zenml) -> None:
    quiet("artifact-store", "register", "disk", "-f", "local", "--path=/tmp/disk")
    assert quiet("artifact-store", "rename", "default", "main").stdout.endswith(
        "Successfully renamed artifact store `default` to `main`.\n"
    )
    assert quiet("artifact-store", "get").stdout.endswith("Active artifact store: 'main'\n")
    quiet("profile", "create", "team")
    assert quiet("artifact-store", "copy", "disk", "plate", "--to", "team").stdout == (
        f"{HEADER}Registered stack component with type 'artifact_store' and name 'plate'.\n"
        "Successfully copied artifact store `disk` to `plate`.\n"
    )
    assert quiet("artifact-store", "delete", "disk", "-y").stdout == (
        f"{HEADER}Deregistered stack component (type: artifact_store) with name 'disk'.\nDeleted artifact store: disk\n"
    )


def test_nothing_runs_behind_a_local_store(quiet: Zenml) -> None:
    assert quiet("artifact-store", "up", "default").stdout.endswith(
        "The artifact store 'default' is already running.\n"
    )
    refused = quiet("artifact-store", "down", "default")
    assert refused.exit_code == 1
    assert (
        refused.stderr
        == "Error: The artifact store 'default' of flavor 'local' has no resources to suspend.\n"
    )
    logs = quiet("artifact-store", "logs", "default")
    assert logs.stderr == "Error: The artifact store 'default' of flavor 'local' has no log file.\n"


@pytest.mark.parametrize("type_", [type_.value.replace("_", "-") for type_ in StackComponentType])
def test_explain(quiet: Zenml, type_: str) -> None:
    explained = quiet(type_, "explain")
    assert explained.exit_code == 0, explained.output
    base = f"Base{''.join(word.capitalize() for word in type_.split('-'))}: "
    assert base in explained.stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("artifact-store describe defalt", "Artifact store 'defalt' does not exist. Did you mean 'default'?"),
        (
            "artifact-store update defalt --path=/x",
            "Artifact store 'defalt' does not exist. Did you mean 'default'?",
        ),
        (
            "artifact-store remove-attribute defalt --path",
            "Artifact store 'defalt' does not exist. Did you mean 'default'?",
        ),
        ("artifact-store rename defalt x", "Artifact store 'defalt' does not exist. Did you mean 'default'?"),
        ("artifact-store copy defalt x", "Artifact store 'defalt' does not exist. Did you mean 'default'?"),
        (
            "artifact-store delete defalt -y",
            "Artifact store 'defalt' does not exist. Did you mean 'default'?",
        ),
        ("artifact-store logs defalt", "Artifact store 'defalt' does not exist. Did you mean 'default'?"),
        ("artifact-store delete default -y", "The artifact store 'default' is used by the stack 'default'"),
        ("artifact-store copy default default", "Artifact store 'default' already exists"),
        ("artifact-store rename default ../x", "'../x' cannot be the name of a stack component"),
        ("artifact-store register a/b -f local --path=/x", "'a/b' cannot be the name of a stack component"),
        ("artifact-store register default -f local --path=/x", "Artifact store 'default' already exists"),
        (
            "artifact-store register x -f lcal --path=/x",
            "There is no artifact store flavor 'lcal'. Did you mean 'local'?",
        ),
        (
            "artifact-store update default --uuid=1",
            "The uuid of a component cannot be changed so: there is `rename`.",
        ),
        (
            "artifact-store update default --pth=/x",
            "pth: the flavor 'local' has no such field. Did you mean 'path'?",
        ),
        ("alerter describe", "No alerter in active stack 'default': give the NAME of one."),
        (
            "alerter flavor delete email -y",
            "The alerter flavor 'email' is built in: only flavors of your own can be deleted.",
        ),
        ("alerter flavor delete bel -y", "Alerter flavor 'bel' does not exist. Did you mean 'bell'?"),
        (
            "alerter flavor register flavors.Bell",
            "The alerter flavor 'bell' is registered already, as 'flavors.Bell'",
        ),
        (
            "alerter flavor register flavors.Local",
            "The alerter flavor 'email' is built in: give your class another FLAVOR.",
        ),
        ("alerter flavor register flavors.Bel", "cannot be imported from 'flavors.Bel'"),
        ("alerter flavor register flavrs.Bell", "No module named 'flavrs'"),
        ("alerter flavor register Bell", "'Bell' is no import path"),
        ("alerter flavor register flavors.Nothing", "'flavors.Nothing' is no stack component"),
        (
            "alerter flavor register flavors.Abstract",
            "'flavors.Abstract' is abstract: it must implement reach_out.",
        ),
        (
            "artifact-store flavor register flavors.Bell",
            "expected a subclass of zenml.artifact_stores.BaseArtifactStore",
        ),
        (
            "artifact-store flavor register flavors.Store",
            "'flavors.Store' must set the class variable FLAVOR",
        ),
    ],
)
def test_mistakes(bell: Zenml, command: str, message: str) -> None:
    result = bell(*command.split())
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_flavors(bell: Zenml) -> None:
    listed = json.loads(bell("alerter", "flavor", "list", "-o", "json").stdout)
    assert listed[-1] == {"name": "bell", "integration": "", "ready": True, "source": "flavors.Bell"}
    assert "email" in {flavor["name"] for flavor in listed if flavor["ready"]}
    bell("alerter", "register", "door", "-f", "bell", '--to=["ann"]')
    refused = bell("alerter", "flavor", "delete", "bell", "-y")
    assert refused.exit_code == 1
    assert "The alerter flavor 'bell' is used by the component 'door'" in refused.stderr
    bell("alerter", "delete", "door", "-y")
    assert bell("alerter", "flavor", "delete", "bell", "--yes").stdout.endswith(
        "Deleted alerter flavor: bell\n"
    )


def test_a_flavor_whose_module_is_gone_blocks_no_listing(bell: Zenml) -> None:
    bell("alerter", "register", "door", "-f", "bell", '--to=["ann"]')
    bell("stack", "update", "-al", "door")
    Path("flavors.py").unlink()
    listed = json.loads(bell("alerter", "flavor", "list", "-o", "json").stdout)
    assert listed[-1] == {"name": "bell", "integration": "", "ready": False, "source": "flavors.Bell"}
    for command in (
        "alerter list",
        "alerter describe door",
        "stack list",
        "stack describe",
        "stack export default",
    ):
        assert bell(*command.split()).exit_code == 0, command
    used = bell("alerter", "up", "door")
    assert used.exit_code == 1
    assert "The alerter flavor 'bell' cannot be imported from 'flavors.Bell'" in used.stderr


def test_a_secret_in_clear_is_refused_without_a_secrets_manager(bell: Zenml) -> None:
    result = bell("alerter", "register", "door", "-f", "bell", '--to=["ann"]', "--api_key=s3cret")
    assert result.exit_code == 1
    assert "zenml secret register" in result.stderr
    assert "s3cret" not in result.output
    assert bell("alerter", "describe", "door").exit_code == 1


def test_a_secret_in_clear_is_moved_into_the_secrets_manager(bell: Zenml, home: Path) -> None:
    bell("secrets-manager", "register", "vault", "-f", "local")
    bell("stack", "update", "-x", "vault")
    result = bell("alerter", "register", "door", "-f", "bell", '--to=["ann"]', "--api_key=s3cret")
    assert result.exit_code == 0, result.output
    assert configuration(bell, "door")["api_key"] == "{{door_alerter.api_key}}"
    bell("stack", "update", "-al", "door")
    bell("stack", "export", "default")
    shown = [
        bell(*c.split()).output for c in ("alerter list", "alerter describe door", "secret list", "status")
    ]
    assert "s3cret" not in "".join([result.output, Path("default.yaml").read_text(), *shown])
    kept = [
        path for path in (home / ".config").rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()
    ]
    assert kept == []
    assert "s3cret" in bell("secret", "get", "door_alerter").stdout


def test_mend_a_component_whose_flavor_has_changed(bell: Zenml) -> None:
    bell("alerter", "register", "door", "-f", "bell", '--to=["ann"]', "--rings=9")
    before = configuration(bell, "door")
    source = Path("flavors.py").read_text()
    Path("flavors.py").write_text(source.replace("rings: int = 3", "volume: int"))
    with own_imports():
        refused = bell("alerter", "up", "door")
    assert refused.stderr == (
        "Error: The alerter 'door' of flavor 'bell' cannot be configured so:\n"
        "  volume: is required, but it is not given.\n"
        "  rings: the flavor 'bell' has no such field. Known: 'api_key', 'options', 'to', 'volume'.\n"
        "Drop what its flavor no longer has with `zenml alerter remove-attribute door --rings`.\n"
        "Set what its flavor has come to require with `zenml alerter update door --volume=...`.\n"
    )
    assert configuration(bell, "door") == before
    with own_imports():
        refused = bell("alerter", "update", "door", "--volume=5")
        assert "drop them first with `zenml alerter remove-attribute door --rings`." in refused.stderr
        assert bell("alerter", "remove-attribute", "door", "--rings").exit_code == 0
        assert bell("alerter", "update", "door", "--volume=5").exit_code == 0
    assert configuration(bell, "door") == {"to": ["ann"], "options": {}, "volume": 5}


def test_ask_for_the_required_fields(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("alerter", "register", "mail", "-f", "email", "--host=mail.example.org", "-i")
    refused = quiet(*command)
    assert refused.exit_code == 2
    assert "sender: there is no terminal to answer on: give --sender=VALUE." in refused.stderr
    monkeypatch.setattr("zenml.cli.terminal.has_keyboard", lambda: True)
    registered = quiet(*command, input="me@example.org\nyou@example.org\n")
    assert "sender: " in registered.stdout
    assert "host: " not in registered.stdout
    assert configuration(quiet, "mail")["recipients"] == ["you@example.org"]
    empty = quiet("alerter", "register", "post", "-f", "email", "-i", input="\n\n\n")
    assert "  sender: is required, but it is not given." in empty.stderr


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("delete bel", "Alerter flavor 'bel' does not exist. Did you mean 'bell'?"),
        (
            "register flavors.Bel",
            "the module 'flavors' has no 'Bel'. Did you mean 'Bell'? Custom flavors are",
        ),
    ],
)
def test_mistakes_with_flavors(bell: Zenml, command: str, message: str) -> None:
    with own_imports():
        refused = bell("alerter", "flavor", *command.split())
    assert refused.exit_code == 1
    assert message in refused.stderr


def test_a_flavor_without_what_its_base_declares(quiet: Zenml) -> None:
    Path("stores.py").write_text(
        "from zenml.artifact_stores import BaseArtifactStore\n\n\nclass Store(BaseArtifactStore):\n    FLAVOR = 'mine'\n"
    )
    with own_imports():
        refused = quiet("artifact-store", "flavor", "register", "stores.Store")
    assert refused.stderr == (
        "Error: 'stores.Store' must set what zenml.artifact_stores.BaseArtifactStore declares as a class variable: "
        "SUPPORTED_SCHEMES.\n"
    )
