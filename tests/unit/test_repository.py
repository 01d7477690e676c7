"""Repository: the Python of the documentation, and what it refuses."""

import logging
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from zenml.artifact_stores import BaseArtifactStore, LocalArtifactStore
from zenml.config.global_config import GlobalConfiguration
from zenml.context import running
from zenml.enums import StackComponentType as T
from zenml.environment import Environment
from zenml.exceptions import (
    ActiveSettingError,
    ConfigurationError,
    DoesNotExistException,
    EntityExistsError,
    ForbiddenRepositoryAccessError,
    InUseError,
    SecretError,
    StackComponentExistsError,
    StackComponentInterfaceError,
    StackExistsError,
)
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.orchestrators import LocalOrchestrator
from zenml.profiles.profiles import create_profile, get_profile, open_registry
from zenml.repository import Repository
from zenml.stack import Stack


def local_stack(name: str = "local", path: str = "/tmp/zenml", **more) -> Stack:
    return Stack(
        name=name,
        orchestrator=LocalOrchestrator(name="local"),
        metadata_store=SQLiteMetadataStore(name="local", uri=f"{path}/zenml.db"),
        artifact_store=LocalArtifactStore(name="local", path=f"{path}/artifacts"),
        **more,
    )


@pytest.fixture
def repo() -> Repository:
    return Repository()


# As documented


DOCUMENTED = """
    from zenml.repository import Repository
    from zenml.artifact_stores import LocalArtifactStore
    from zenml.metadata_stores import SQLiteMetadataStore
    from zenml.orchestrators import LocalOrchestrator
    from zenml.stack import Stack


    repo = Repository()
    orchestrator = LocalOrchestrator(name="local")
    metadata_store = SQLiteMetadataStore(name="local", uri="/tmp/zenml/zenml.db")
    artifact_store = LocalArtifactStore(name="local", path="/tmp/zenml/artifacts")
    stack = Stack(
        name="local",
        orchestrator=orchestrator,
        metadata_store=metadata_store,
        artifact_store=artifact_store,
    )
    repo.register_stack(stack)
    repo.activate_stack(stack.name)

    active_stack = repo.active_stack
    print(active_stack.name)
    print(active_stack.orchestrator.name)
    print(active_stack.artifact_store.name)
    print(active_stack.artifact_store.path)
    print(active_stack.metadata_store.name)
    print(active_stack.metadata_store.uri)
"""


def test_the_documented_python_runs_and_says_when_it_was_run_before():
    command = [sys.executable, "-c", textwrap.dedent(DOCUMENTED)]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert first.stdout.split() == [
        "local",
        "local",
        "local",
        "/tmp/zenml/artifacts",
        "local",
        "/tmp/zenml/zenml.db",
    ]

    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.stderr.splitlines()[-1].endswith(
        "Stack 'local' already exists: choose another name, or update it."
    )


def test_the_default_stack_is_there_at_once(repo):
    stack = repo.active_stack
    assert (stack.name, stack.orchestrator.name, stack.artifact_store.name) == (
        "default",
        "default",
        "default",
    )
    assert stack.metadata_store.uri == f"{stack.artifact_store.path}/metadata.db"
    assert [s.name for s in repo.stacks] == ["default"]
    assert repo.stack_configurations == {
        "default": dict.fromkeys((T.ORCHESTRATOR, T.METADATA_STORE, T.ARTIFACT_STORE), "default")
    }
    assert repo.active_profile_name == "default"
    assert repo.get_pipelines() == []
    assert repo.get_pipeline("nope") is None
    assert repo.get_run("nope") is None


# One object, which follows


def test_there_is_one_object_and_as_many_independent_ones_as_wanted(repo, tmp_path):
    assert Repository() is repo
    assert Repository.get_instance() is repo
    assert Repository(root=tmp_path) is not repo


def test_it_follows_the_working_directory_and_the_environment(repo, tmp_path, monkeypatch):
    assert repo.root is None
    root = tmp_path / "project"
    Repository.initialize(root)
    assert repo.root == root
    assert repo.config_directory == root / ".zen"
    create_profile("zenml")
    repo.activate_profile("zenml")
    assert repo.active_profile_name == "zenml"
    assert GlobalConfiguration().activated_profile == "default"

    monkeypatch.chdir(tmp_path)
    assert (repo.root, repo.active_profile_name) == (None, "default")
    assert Repository(root=root).active_profile_name == "zenml"
    assert Repository(profile="zenml").active_profile_name == "zenml"
    assert Repository(profile=get_profile("zenml")).active_stack.name == "default"
    monkeypatch.setenv("ZENML_ACTIVATED_PROFILE", "zenml")
    assert repo.active_profile_name == "zenml"
    monkeypatch.setenv("ZENML_ACTIVATED_STACK", "nope")
    with pytest.raises(ActiveSettingError, match="ZENML_ACTIVATED_STACK"):
        _ = repo.active_stack
    monkeypatch.delenv("ZENML_ACTIVATED_STACK")
    monkeypatch.delenv("ZENML_ACTIVATED_PROFILE")

    (root / ".zen" / "config.yaml").unlink()
    (root / ".zen").rmdir()
    monkeypatch.chdir(root)
    assert repo.root is None


def test_it_can_stay_with_a_repository(tmp_path):
    root = tmp_path / "project"
    Repository.initialize(root)
    repo = Repository(root=root)
    repo.register_stack(local_stack())
    repo.activate_stack("local")
    repo.update_stack("local", local_stack("renamed"))
    assert repo.active_stack_name == "renamed"
    repo.activate_root(tmp_path / "elsewhere")
    assert repo.active_stack_name == "default"


# Stacks


def test_components_that_are_registered_in_equal_configuration_are_reused(repo):
    repo.register_stack(local_stack())
    repo.register_stack(local_stack("other"))
    assert len(repo.get_stack_components(T.ARTIFACT_STORE)) == 2
    assert repo.get_stack("other").artifact_store == repo.get_stack("local").artifact_store
    with pytest.raises(StackComponentExistsError, match="metadata store 'local', artifact store 'local'"):
        repo.register_stack(local_stack("third", path="/tmp/else"))
    with pytest.raises(StackExistsError, match="Stack 'local' already exists"):
        repo.register_stack(local_stack())
    assert [stack.name for stack in repo.stacks] == ["default", "local", "other"]


def test_a_stack_is_updated_renamed_and_deleted(repo):
    repo.register_stack(local_stack())
    repo.activate_stack("local")
    repo.update_stack("local", local_stack("renamed"))
    assert repo.active_stack_name == "renamed"
    with pytest.raises(InUseError, match="globally active"):
        repo.deregister_stack("renamed")
    repo.activate_stack("default")
    repo.deregister_stack("renamed")
    for use in (repo.get_stack, repo.deregister_stack, repo.activate_stack):
        with pytest.raises(KeyError, match="Stack 'renamed' does not exist"):
            use("renamed")


def test_a_stack_travels_between_profiles_and_through_a_document(repo):
    create_profile("zenml")
    repo.register_stack(local_stack())
    copied = repo.copy_stack("local", "local", to_profile="zenml")
    assert copied.name == "local"
    assert (
        Repository(profile="zenml").get_stack("local").artifact_store
        == repo.get_stack("local").artifact_store
    )
    imported = repo.import_stack(repo.export_stack("local"), "again")
    assert imported.stack.components[T.ARTIFACT_STORE] == "local"


# Components


def test_a_component_is_registered_updated_and_deleted(repo):
    repo.register_stack_component(LocalArtifactStore(name="data", path="/a"))
    repo.update_stack_component(
        "data", T.ARTIFACT_STORE, repo.get_stack_component(T.ARTIFACT_STORE, "data").updated({"path": "/b"})
    )
    assert repo.get_stack_component(T.ARTIFACT_STORE, "data").path == "/b"
    with pytest.raises(StackComponentExistsError):
        repo.register_stack_component(LocalArtifactStore(name="data", path="/a"))
    with pytest.raises(InUseError, match="used by the stack 'default'"):
        repo.deregister_stack_component(T.ARTIFACT_STORE, "default")
    repo.deregister_stack_component(T.ARTIFACT_STORE, "data")
    with pytest.raises(DoesNotExistException, match="Artifact store 'data' does not exist"):
        repo.get_stack_component(T.ARTIFACT_STORE, "data")


def test_a_component_of_another_version_of_its_flavor_is_an_error_that_loses_nothing(repo):
    file = Path(GlobalConfiguration().config_directory) / "profiles" / "default" / "store.yaml"
    repo.register_stack_component(LocalArtifactStore(name="data", path="/a"))
    file.write_text(file.read_text().replace("      path: /a\n", "      path: /a\n      colour: green\n"))
    before = file.read_text()

    with pytest.raises(ConfigurationError, match=r"colour: the flavor 'local' has no such field"):
        repo.get_stack_component(T.ARTIFACT_STORE, "data")
    assert file.read_text() == before
    repo.register_stack_component(LocalArtifactStore(name="more", path="/b"))
    assert "colour: green" in file.read_text()


SECRETIVE = """
from typing import ClassVar
from zenml.artifact_stores import LocalArtifactStore
from zenml.stack import StackComponent

class Vault(LocalArtifactStore):
    FLAVOR: ClassVar[str] = "vault"
    password: str = ""
"""


def test_a_secret_in_clear_is_moved_into_the_secrets_manager_or_refused(repo, tmp_path, monkeypatch):
    from zenml.secrets_managers import LocalSecretsManager

    (tmp_path / "project" / "secretive.py").write_text(SECRETIVE)
    Repository.initialize()
    repo.register_flavor("secretive.Vault")
    vault = repo.get_flavor("vault", T.ARTIFACT_STORE)
    with pytest.raises(SecretError, match="holds a secret in clear in: password"):
        repo.register_stack_component(vault(name="safe", path="/a", password="s3cret"))

    repo.register_stack(local_stack(secrets_manager=LocalSecretsManager(name="keys")))
    repo.activate_stack("local")
    repo.register_stack_component(vault(name="safe", path="/a", password="s3cret"))
    record = repo.registry.component(T.ARTIFACT_STORE, "safe")
    assert record.configuration["password"] == "{{safe_artifact_store.password}}"
    assert record.secret_fields == ("password",)
    # A second one of that name would take the place of the first one's secret.
    with pytest.raises(StackComponentExistsError):
        repo.register_stack_component(vault(name="safe", path="/a", password="other"))
    safe = repo.get_stack_component(T.ARTIFACT_STORE, "safe")
    repo.update_stack(
        "local", Stack.from_components("local", {**repo.active_stack.components, T.ARTIFACT_STORE: safe})
    )
    assert repo.active_stack.artifact_store.password == "s3cret"
    config = GlobalConfiguration().config_directory
    assert not [p for p in config.rglob("*") if p.is_file() and b"s3cret" in p.read_bytes()]


# Flavors


class LocalOnly(BaseArtifactStore):
    FLAVOR: ClassVar[str] = "here"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {""}


CUSTOM = """
from typing import ClassVar, Set
from zenml.alerters import BaseAlerter
from zenml.artifact_stores import BaseArtifactStore

class MyCustomArtifactStore(BaseArtifactStore):
    FLAVOR: ClassVar[str] = "custom"
    SUPPORTED_SCHEMES: ClassVar[Set[str]] = {"custom://"}

class Abstract(BaseAlerter):
    FLAVOR: ClassVar[str] = "abstract"

class Shadow(BaseArtifactStore):
    FLAVOR: ClassVar[str] = "local"
    SUPPORTED_SCHEMES: ClassVar[Set[str]] = {"custom://"}

number = 3
"""


def test_a_custom_flavor_is_found_from_the_root_of_the_repository(repo, tmp_path, monkeypatch):
    root = tmp_path / "project"
    (root / "path").mkdir()
    (root / "path" / "to.py").write_text(CUSTOM)
    with pytest.raises(
        StackComponentInterfaceError,
        match=r"'path\.to\..*' cannot be imported: .*there is no repository here",
    ):
        repo.register_flavor("path.to.MyCustomArtifactStore")
    Repository.initialize(root)
    (root / "deeper").mkdir()
    monkeypatch.chdir(root / "deeper")

    flavor = repo.register_flavor("path.to.MyCustomArtifactStore")

    assert (flavor.type, flavor.name, flavor.source) == (
        T.ARTIFACT_STORE,
        "custom",
        "path.to.MyCustomArtifactStore",
    )
    assert repo.get_flavor("custom", T.ARTIFACT_STORE).__name__ == "MyCustomArtifactStore"
    for source, error, message in [
        (
            "path.to.MyCustomArtifactStore",
            EntityExistsError,
            "The artifact store flavor 'custom' is registered already",
        ),
        (
            "path.to.MyCustomArtifacStore",
            StackComponentInterfaceError,
            "Did you mean 'MyCustomArtifactStore'",
        ),
        ("path.nowhere.Store", StackComponentInterfaceError, "No module named 'path.nowhere'"),
        ("Store", StackComponentInterfaceError, "no import path of the form"),
        ("path.to.Abstract", StackComponentInterfaceError, "is abstract: it must implement"),
        ("path.to.Shadow", EntityExistsError, "The artifact store flavor 'local' is built in"),
        ("path.to.number", StackComponentInterfaceError, "is no stack component"),
    ]:
        with pytest.raises(error, match=message):
            repo.register_flavor(source)
    repo.deregister_flavor("custom", T.ARTIFACT_STORE)
    with pytest.raises(DoesNotExistException, match="There is no artifact store flavor 'custom'"):
        repo.get_flavor("custom", T.ARTIFACT_STORE)


# Inside a step


def test_a_step_may_look_at_its_stack_and_change_nothing(repo, tmp_path):
    repo.register_stack(local_stack(path=str(tmp_path)))
    stack = repo.get_stack("local")
    step = SimpleNamespace(stack=stack, step_name="trainer")
    with running(step):
        inside = Repository()
        assert inside.active_stack is stack
        assert inside.active_stack_name == "local"
        assert inside.get_pipelines() == []
        assert inside.get_pipeline("nope") is None
        for forbidden in (
            lambda: inside.register_stack(stack),
            lambda: inside.update_stack("local", stack),
            lambda: inside.deregister_stack("local"),
            lambda: inside.activate_stack("local"),
            lambda: inside.activate_profile("default"),
            lambda: inside.register_stack_component(stack.artifact_store),
            lambda: inside.deregister_stack_component(T.ARTIFACT_STORE, "local"),
            lambda: inside.update_stack_component("local", T.ARTIFACT_STORE, stack.artifact_store),
            lambda: inside.register_flavor("a.B"),
            lambda: inside.copy_stack("local", "b", from_profile="default", to_profile="default"),
            lambda: inside.import_stack({}),
            lambda: inside.stacks,
            lambda: Repository.initialize(tmp_path),
            lambda: inside.activate_root(tmp_path),
        ):
            with pytest.raises(
                ForbiddenRepositoryAccessError, match="The step 'trainer' cannot .* inside a running step"
            ):
                forbidden()
    assert not (tmp_path / ".zen").exists()


def test_the_environment_knows_the_step_that_runs():
    assert not Environment().step_is_running
    with pytest.raises(KeyError, match="No step is running"):
        _ = Environment().step_environment
    step = SimpleNamespace(step_name="trainer")
    with running(step):
        assert Environment().step_is_running
        assert Environment().step_environment.step_name == "trainer"
    assert Environment.python_version() == sys.version.split()[0]
    assert Environment.get_system_info()["os"] in ("linux", "darwin", "windows")
    assert not Environment.in_notebook()
    assert not Environment.in_google_colab()


def test_the_missing_repository_is_reported(repo, monkeypatch, caplog):
    from zenml.profiles import active

    caplog.set_level(logging.INFO, "zenml")
    monkeypatch.setattr(active, "_reported", False)
    _ = repo.active_stack_name
    assert caplog.messages[-1] == "Running without an active repository root."
    assert Repository.find_repository(enable_warnings=True) is None
    assert len(open_registry("default").stacks()) == 1
