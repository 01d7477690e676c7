"""Making and deleting profiles, and which one is active."""

import contextlib
import logging
import multiprocessing
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from zenml.config import repository_config
from zenml.config.global_config import GlobalConfiguration
from zenml.config.profile_config import ProfileConfiguration
from zenml.config.repository_config import RepositoryConfiguration
from zenml.enums import StackComponentType, StoreType
from zenml.exceptions import (
    ActiveSettingError,
    ConfigurationError,
    DoesNotExistException,
    EntityExistsError,
    InitializationException,
    InUseError,
    InvalidNameError,
    SecretError,
    StoreError,
)
from zenml.model.records import ComponentRecord, StackRecord
from zenml.profiles import active
from zenml.profiles.profiles import (
    create_profile,
    delete_profile,
    ensure_default_profile,
    get_profile,
    list_profiles,
    open_registry,
    shown_url,
)

spawned = multiprocessing.get_context("spawn")

FIRST_USE = [
    "Creating default profile...",
    "Initializing profile `default`...",
    "Initializing store...",
    "Registered stack component with type 'orchestrator' and name 'default'.",
    "Registered stack component with type 'metadata_store' and name 'default'.",
    "Registered stack component with type 'artifact_store' and name 'default'.",
    "Registered stack with name 'default'.",
    "Created and activated default profile.",
]


@pytest.fixture(autouse=True)
def messages(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "zenml")
    return caplog


@pytest.fixture
def config() -> GlobalConfiguration:
    ensure_default_profile()
    return GlobalConfiguration()


def stack(profile: str, name: str) -> None:
    registry = open_registry(profile)
    registry.register_stack(StackRecord(name, registry.stack("default").components))


# First use


def test_the_first_use_makes_a_default_profile_and_says_so(messages):
    found = active.resolve()
    assert messages.messages == FIRST_USE
    assert (found.profile, found.profile_setting, found.stack, found.stack_setting) == (
        "default",
        "global",
        "default",
        "global",
    )

    messages.clear()
    assert active.resolve() == found
    assert messages.messages == []


def test_the_default_stack_is_local(config):
    spec = open_registry("default").stack_spec("default")
    store = spec.components[StackComponentType.ARTIFACT_STORE]
    path = config.config_directory / "local_stores" / str(store.uuid)
    assert store.configuration == {"path": str(path)}
    assert spec.components[StackComponentType.METADATA_STORE].flavor == "sqlite"
    assert spec.components[StackComponentType.METADATA_STORE].configuration == {
        "uri": str(path / "metadata.db")
    }
    assert shown_url(get_profile("default")) == f"file://{config.config_directory}/profiles/default"


def _first_use() -> None:
    active.resolve()


def test_processes_whose_first_use_is_at_once_make_one_profile():
    processes = [spawned.Process(target=_first_use) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0] * 4
    assert [profile.name for profile in list_profiles()] == ["default"]
    assert len(open_registry("default").components(StackComponentType.ARTIFACT_STORE)) == 1


def test_a_first_use_that_is_killed_can_be_repeated():
    script = "from zenml.profiles import active; active.resolve()"
    for tenth in range(8):
        process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05 + tenth * 0.02)
        process.kill()
        process.wait()
        with contextlib.suppress(FileNotFoundError):
            # Again from the start, but with what the last one left of the store.
            GlobalConfiguration().file.unlink()
    found = active.resolve()

    assert (found.profile, found.stack) == ("default", "default")
    spec = open_registry("default").stack_spec("default")
    assert (
        len(spec.components)
        == len(open_registry("default").components(StackComponentType.ARTIFACT_STORE)) + 2
    )


def _work(worker: int) -> None:
    create_profile(f"profile-{worker}")
    for n in range(5):
        registry = open_registry("shared")
        stack("shared", f"kept-{worker}-{n}-old")
        stack("shared", f"gone-{worker}-{n}")
        old = registry.stack(f"kept-{worker}-{n}-old")
        active.activate_stack(get_profile(f"profile-{worker}"), "default", root=None)
        registry.update_stack(old.name, StackRecord(f"kept-{worker}-{n}", old.components))
        registry.deregister_stack(f"gone-{worker}-{n}")


@pytest.mark.parametrize("store_type", ["local", "sql"])
def test_processes_that_change_profiles_and_stacks_at_once_lose_nothing(config, store_type):
    create_profile("shared", store_type=store_type)
    processes = [spawned.Process(target=_work, args=(worker,)) for worker in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)

    assert [process.exitcode for process in processes] == [0] * 3
    assert list(config.profiles) == ["default", "profile-0", "profile-1", "profile-2", "shared"]
    names = {s.name for s in open_registry("shared").stacks()}
    assert names == {"default"} | {f"kept-{w}-{n}" for w in range(3) for n in range(5)}


def test_finding_out_what_is_active_loads_nothing_heavy(config):
    script = (
        "import sys; from zenml.repository import Repository; r = Repository(); r.stack_configurations, r.active_stack_name;"
        "print({m.partition('.')[0] for m in sys.modules} & {'pydantic', 'sqlalchemy', 'sqlite3', 'click', 'rich', 'fsspec'},"
        "'importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set() False\n"


# Making


def test_a_profile_is_made_with_a_default_stack_of_its_own(config, messages):
    messages.clear()
    profile = create_profile("zenml")

    assert messages.messages == ["Initializing profile `zenml`...", *FIRST_USE[2:-1]]
    assert profile.active_stack == "default"
    assert config.activated_profile == "default"
    stack("zenml", "custom")
    assert [s.name for s in open_registry("default").stacks()] == ["default"]
    assert [s.name for s in open_registry("zenml").stacks()] == ["custom", "default"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_profile_in_a_database(config, request, tmp_path, kind):
    url = (
        f"sqlite:///{tmp_path}/worlds.db" if kind == "sqlite" else request.getfixturevalue(f"{kind}_database")
    )
    profile = create_profile("shared", store_type="sql", url=url)
    stack("shared", "custom")
    assert [s.name for s in open_registry("shared").stacks()] == ["custom", "default"]
    assert ("***" in shown_url(profile)) is (kind != "sqlite")

    # What is local is carried into it; the copies are found by whoever opens it.
    open_registry("default").copy_stack("default", "mine", open_registry("shared"), on_conflict="rename")
    assert open_registry("shared").stack("mine").components[StackComponentType.ARTIFACT_STORE] == "default_2"
    open_registry("shared").deregister_stack("mine")

    # Another profile on the same store sees the same stacks, and its components are not made again.
    again = create_profile("again", store_type="sql", url=url)
    assert [s.name for s in open_registry("again").stacks()] == ["custom", "default"]
    assert again.active_stack == "default"


def test_a_sql_profile_lies_in_its_folder_unless_told_otherwise(config):
    create_profile("sql", store_type="sql")
    assert (config.config_directory / "profiles" / "sql" / "zenml.db").exists()
    delete_profile("sql")
    assert not (config.config_directory / "profiles" / "sql").exists()


def test_the_store_type_may_come_from_the_environment(config, monkeypatch):
    monkeypatch.setenv("ZENML_DEFAULT_STORE_TYPE", "sql")
    assert create_profile("a").store_type is StoreType.SQL
    monkeypatch.setenv("ZENML_DEFAULT_STORE_TYPE", "rest")
    with pytest.raises(
        ConfigurationError,
        match=r"no store type 'rest' \(from ZENML_DEFAULT_STORE_TYPE\); expected one of local, sql",
    ):
        create_profile("b")


def test_a_relative_url_is_made_absolute(config, tmp_path, monkeypatch):
    create_profile("mine", url="worlds")
    create_profile("yours", store_type="sql", url="sqlite:///worlds.db")
    stack("mine", "custom")
    stack("yours", "custom")

    monkeypatch.chdir(tmp_path)
    assert [s.name for s in open_registry("mine").stacks()] == ["custom", "default"]
    assert [s.name for s in open_registry("yours").stacks()] == ["custom", "default"]


def test_an_existing_store_is_reused(config, tmp_path, messages):
    create_profile("first", url=str(tmp_path / "worlds"))
    stack("first", "custom")
    open_registry("first").update_stack(
        "default", StackRecord("renamed", open_registry("first").stack("default").components)
    )
    messages.clear()

    assert create_profile("second", url=f"file://{tmp_path}/worlds").active_stack == "custom"
    assert messages.messages == ["Initializing profile `second`..."]


def test_a_password_may_come_from_the_environment(config, postgresql_database, monkeypatch):
    head, _, tail = postgresql_database.partition("admin:")
    password, _, host = tail.partition("@")
    url = f"{head}admin:{{{{env.PG_PASSWORD}}}}@{host}"
    with pytest.raises(SecretError, match="'PG_PASSWORD' is not set"):
        create_profile("shared", store_type="sql", url=url)
    monkeypatch.setenv("PG_PASSWORD", password)
    profile = create_profile("shared", store_type="sql", url=url)

    assert open_registry("shared").stack("default")
    assert password not in config.file.read_text()
    assert shown_url(profile) == url


def test_a_password_is_never_shown():
    def shown(url: str) -> str:
        profile = ProfileConfiguration("a", StoreType.SQL, url)
        assert "pw" not in repr(profile)
        return shown_url(profile)

    assert shown("postgresql://ann:pw@host/db") == "postgresql://ann:***@host/db"
    assert shown("mysql+pymysql://ann:p@pw:x@host:3306/db?a=b") == "mysql+pymysql://ann:***@host:3306/db?a=b"
    assert (
        shown("postgresql://host/db?user=ann&password=pw&a=b")
        == "postgresql://host/db?user=ann&password=***&a=b"
    )
    assert shown("postgresql://ann@host/db") == "postgresql://ann@host/db"
    assert shown("sqlite:////a:b@c/pd.db") == "sqlite:////a:b@c/pd.db"


@pytest.mark.parametrize("name", ["", ".", "..", "../../evil", "a/b", "a\nb", " "])
def test_a_name_that_leaves_its_folder_is_refused(config, name):
    before = sorted(config.config_directory.rglob("*"))
    with pytest.raises(InvalidNameError, match="cannot be the name of a profile"):
        create_profile(name)
    assert sorted(config.config_directory.rglob("*")) == before


def test_what_cannot_be_made_leaves_nothing_behind(config, tmp_path):
    (tmp_path / "file").write_text("")
    for url, type_, error, message in [
        (None, "rest", ConfigurationError, "There is no store type 'rest'; expected one of local, sql"),
        (
            "https://host",
            "local",
            ConfigurationError,
            "A local store is a folder, given as a path or a file:// URL, not https://",
        ),
        (str(tmp_path / "file"), "local", ConfigurationError, "but '.*file' is a file"),
        (str(tmp_path / "file" / "x"), "local", StoreError, "Not a directory"),
        (
            "postgresql://ann:pw@127.0.0.1:1/db",
            "sql",
            StoreError,
            r"ann:\*\*\*@127.0.0.1:1/db cannot be used",
        ),
        ("postgresql://ann@127.0.0.1", "sql", ConfigurationError, "The URL names no database"),
        ("sqlite://", "sql", ConfigurationError, "in memory would be forgotten"),
        ("nonsense", "sql", ConfigurationError, "none of a database"),
    ]:
        with pytest.raises(error, match=message) as caught:
            create_profile("new", store_type=type_, url=url)
        assert "pw" not in str(caught.value)
    assert list(config.profiles) == ["default"]
    assert [p.name for p in (config.config_directory / "profiles").iterdir()] == ["default"]
    with pytest.raises(EntityExistsError, match=r"Profile 'default' already exists\."):
        create_profile("default")


# Deleting


def test_a_profile_is_deleted_with_its_data_and_nothing_else(config, tmp_path):
    create_profile("gone")
    stores = config.config_directory / "local_stores"
    kept, gone = (
        open_registry(p).component(StackComponentType.ARTIFACT_STORE, "default") for p in ("default", "gone")
    )
    outside = tmp_path / "outside"
    for folder in (stores / str(kept.uuid), stores / str(gone.uuid), outside):
        folder.mkdir(parents=True)
    shared = open_registry("gone").component(StackComponentType.ORCHESTRATOR, "default")
    (stores / str(shared.uuid)).mkdir()
    open_registry("gone").copy_component(
        StackComponentType.ORCHESTRATOR, "default", "shared", open_registry("default")
    )
    registry = open_registry("gone")
    registry.register_component(
        ComponentRecord(gone.type, "elsewhere", "local", uuid4(), {"path": str(outside)})
    )

    delete_profile("gone")

    assert not (config.config_directory / "profiles" / "gone").exists()
    assert sorted(p.name for p in stores.iterdir()) == sorted([str(kept.uuid), str(shared.uuid)])
    assert outside.exists()
    with pytest.raises(DoesNotExistException, match="Profile 'gone' does not exist"):
        delete_profile("gone")


def test_a_store_elsewhere_is_left_with_all_that_it_refers_to(config, tmp_path):
    create_profile("gone", url=str(tmp_path / "worlds"))
    uuid = open_registry("gone").component(StackComponentType.ARTIFACT_STORE, "default").uuid
    data = config.config_directory / "local_stores" / str(uuid)
    data.mkdir(parents=True)

    delete_profile("gone")

    assert data.exists()
    create_profile("again", url=str(tmp_path / "worlds"))
    assert open_registry("again").component(StackComponentType.ARTIFACT_STORE, "default").uuid == uuid


def test_an_active_profile_is_not_deleted(config, tmp_path, monkeypatch):
    with pytest.raises(
        InUseError, match=r"because it's globally active\. .*'zenml profile set --global PROFILE'"
    ):
        delete_profile("default")
    create_profile("zenml")
    active.initialize_repository()
    active.activate_profile("zenml", root=Path.cwd())
    with pytest.raises(InUseError, match=r"because it's locally active\. .*'zenml profile set PROFILE'"):
        delete_profile("zenml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZENML_ACTIVATED_PROFILE", "zenml")
    with pytest.raises(InUseError, match="because ZENML_ACTIVATED_PROFILE makes it active"):
        delete_profile("zenml")


def test_a_profile_that_another_one_lies_in_is_not_deleted(config):
    create_profile("outer")
    create_profile("inner", url=str(config.config_directory / "profiles" / "outer"))
    with pytest.raises(InUseError, match="the profile 'inner' is kept in its folder"):
        delete_profile("outer")


def test_data_is_kept_when_another_profile_cannot_be_asked(config, messages):
    create_profile("broken")
    create_profile("gone")
    uuid = open_registry("gone").component(StackComponentType.ARTIFACT_STORE, "default").uuid
    data = config.config_directory / "local_stores" / str(uuid)
    data.mkdir(parents=True)
    (config.config_directory / "profiles" / "broken" / "store.yaml").write_text("[")

    delete_profile("gone")

    assert data.exists()
    assert "is kept in" in messages.messages[-1]


# What is active


@pytest.fixture
def worlds(config, monkeypatch, tmp_path) -> Path:
    """The profiles default and zenml (stacks default and custom, custom active), and a repository that says nothing else."""
    create_profile("zenml")
    stack("zenml", "custom")
    config.activate_stack("zenml", "custom")
    root = tmp_path / "repository"
    root.mkdir()
    active.initialize_repository(root)
    monkeypatch.chdir(root)
    return root


def decided() -> tuple:
    found = active.resolve()
    return (found.profile, found.profile_setting, found.stack, found.stack_setting)


def test_local_goes_before_global_and_the_environment_before_both(worlds, monkeypatch, tmp_path):
    assert decided() == ("default", "local", "default", "local")

    active.activate_profile("zenml", root=worlds)
    assert decided() == ("zenml", "local", "custom", "local")
    active.activate_stack(get_profile("zenml"), "default", root=worlds)
    assert decided() == ("zenml", "local", "default", "local")
    (worlds / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(worlds / "deep" / "er")
    assert decided() == ("zenml", "local", "default", "local")

    monkeypatch.setenv("ZENML_ACTIVATED_STACK", "custom")
    assert decided() == ("zenml", "local", "custom", "environment")
    monkeypatch.delenv("ZENML_ACTIVATED_STACK")

    monkeypatch.chdir(tmp_path)
    assert decided() == ("default", "global", "default", "global")
    monkeypatch.setenv("ZENML_ACTIVATED_PROFILE", "zenml")
    assert decided() == ("zenml", "environment", "custom", "global")


def test_a_profile_of_the_environment_brings_its_own_stack(worlds, monkeypatch):
    monkeypatch.setenv("ZENML_ACTIVATED_PROFILE", "zenml")
    assert decided() == ("zenml", "environment", "custom", "global")
    active.activate_stack(get_profile("zenml"), "default", root=worlds)
    assert decided() == ("zenml", "environment", "default", "global")
    assert repository_config.read(worlds) == RepositoryConfiguration("default", "default")
    active.activate_stack(get_profile("zenml"), "custom", root=worlds)
    # Not alone: the repository chose the same one, and a stack in it.
    active.activate_profile("zenml", root=worlds)
    active.activate_stack(get_profile("zenml"), "default", root=worlds)
    assert decided() == ("zenml", "environment", "default", "local")
    monkeypatch.delenv("ZENML_ACTIVATED_PROFILE")
    assert decided() == ("zenml", "local", "default", "local")


def test_a_local_stack_without_the_local_profile_does_not_count(worlds):
    with repository_config.change(worlds) as data:
        data.update(active_profile_name=None, active_stack_name="custom")
    assert decided() == ("default", "global", "default", "global")


def test_a_setting_that_the_environment_overrides_says_so(worlds, monkeypatch):
    assert active.activate_profile("zenml", root=None) is None
    monkeypatch.setenv("ZENML_ACTIVATED_PROFILE", "default")
    monkeypatch.setenv("ZENML_ACTIVATED_STACK", "default")
    assert active.activate_profile("zenml", root=worlds) == "ZENML_ACTIVATED_PROFILE"
    assert active.activate_stack(get_profile("zenml"), "custom", root=worlds) == "ZENML_ACTIVATED_STACK"
    assert active.activate_profile("default", root=None) is None


def test_what_is_set_must_exist(worlds, config):
    with pytest.raises(
        DoesNotExistException, match=r"Profile 'zenlm' does not exist\. Did you mean 'zenml'\?"
    ):
        active.activate_profile("zenlm", root=worlds)
    for root in (None, worlds):
        with pytest.raises(
            DoesNotExistException, match=r"Stack 'costum' does not exist\. Did you mean 'custom'\?"
        ):
            active.activate_stack(get_profile("zenml"), "costum", root=root)
    assert decided() == ("default", "local", "default", "local")


def test_a_dangling_profile_is_an_error_that_says_how_to_mend_it(worlds, monkeypatch):
    monkeypatch.setenv("ZENML_ACTIVATED_PROFILE", "zenlm")
    with pytest.raises(ActiveSettingError) as caught:
        active.resolve()
    assert (
        "The active profile 'zenlm', set by the environment variable ZENML_ACTIVATED_PROFILE, does not exist. Did you mean 'zenml'?"
        in str(caught.value)
    )
    assert "or unset it" in str(caught.value)
    assert active.resolve(profile_must_exist=False).profile == "zenlm"

    monkeypatch.delenv("ZENML_ACTIVATED_PROFILE")
    with repository_config.change(worlds) as data:
        data["active_profile_name"] = "gone"
    before = (worlds / ".zen" / "config.yaml").read_text()
    with pytest.raises(
        ActiveSettingError, match=r"set by .*\.zen/config\.yaml, does not exist.*`zenml profile set NAME`"
    ):
        active.resolve()
    assert (worlds / ".zen" / "config.yaml").read_text() == before
    active.activate_profile("zenml", root=worlds)
    assert decided() == ("zenml", "local", "custom", "local")


def test_a_dangling_stack_is_an_error_that_says_how_to_mend_it(worlds, monkeypatch, config):
    monkeypatch.setenv("ZENML_ACTIVATED_STACK", "costum")
    with pytest.raises(
        ActiveSettingError,
        match=r"'costum', set by the environment variable ZENML_ACTIVATED_STACK, does not exist in the profile 'default'",
    ):
        active.resolve()
    found = active.resolve(stack_must_exist=False)
    assert (found.profile, found.stack) == ("default", "costum")

    monkeypatch.delenv("ZENML_ACTIVATED_STACK")
    with repository_config.change(worlds) as data:
        data["active_profile_name"] = None
    config.activate_stack("default", None)
    with pytest.raises(
        ActiveSettingError,
        match=r"No stack is active in the profile 'default': choose one with `zenml stack set NAME`",
    ):
        active.resolve()


def test_pointers_follow_a_renamed_stack(worlds, config):
    active.activate_profile("zenml", root=worlds)
    custom = open_registry("zenml").stack("custom")
    open_registry("zenml").update_stack("custom", StackRecord("renamed", custom.components))

    assert decided() == ("zenml", "local", "renamed", "local")
    assert config.get_profile("zenml").active_stack == "renamed"
    # A stack of the same name in another profile is another stack.
    open_registry("default").update_stack("default", StackRecord("other", custom.components))
    assert config.get_profile("default").active_stack == "other"
    assert decided() == ("zenml", "local", "renamed", "local")


def test_an_active_stack_is_not_deleted(worlds):
    active.activate_profile("zenml", root=worlds)
    active.activate_stack(get_profile("zenml"), "default", root=worlds)
    with pytest.raises(
        InUseError,
        match=r"'custom' cannot be deleted because it's globally active .*'zenml stack set --global STACK'",
    ):
        open_registry("zenml").deregister_stack("custom")
    with pytest.raises(
        InUseError, match=r"'default' cannot be deleted because it's locally active .*'zenml stack set STACK'"
    ):
        open_registry("zenml").deregister_stack("default")
    assert len(open_registry("zenml").stacks()) == 2


# Repositories


def test_a_repository_is_found_in_parents_and_by_the_environment(worlds, tmp_path, monkeypatch):
    inner = worlds / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert active.find_repository() == worlds
    (inner / ".zen").write_text("a file does not count")
    assert active.find_repository() == worlds
    assert active.find_repository(inner) is None

    monkeypatch.setenv("ZENML_REPOSITORY_PATH", str(tmp_path))
    assert active.find_repository() is None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZENML_REPOSITORY_PATH", str(worlds))
    assert active.find_repository() == worlds
    link = tmp_path / "link"
    link.symlink_to(worlds)
    monkeypatch.setenv("ZENML_REPOSITORY_PATH", str(link))
    assert active.find_repository() == worlds


def test_a_repository_starts_with_what_is_active_around_it(worlds):
    active.activate_profile("zenml", root=worlds)
    inner = worlds / "inner"
    inner.mkdir()
    assert active.initialize_repository(inner) == RepositoryConfiguration("zenml", "custom")
    with pytest.raises(InitializationException, match="Found existing ZenML repository"):
        active.initialize_repository(inner)
    with pytest.raises(StoreError, match="is no folder"):
        active.initialize_repository(worlds / "nowhere")


def test_outside_of_a_repository_a_warning_is_given_once(config, messages, monkeypatch):
    monkeypatch.setattr(active, "_reported", False)
    messages.clear()
    monkeypatch.setenv("ZENML_ENABLE_REPO_INIT_WARNINGS", "false")
    active.report_missing_repository()
    assert messages.messages == []
    monkeypatch.delenv("ZENML_ENABLE_REPO_INIT_WARNINGS")
    active.report_missing_repository()
    active.report_missing_repository()

    warning, info = messages.records
    assert warning.levelname == "WARNING"
    assert warning.message == (
        f"Unable to find ZenML repository in your current working directory ({Path.cwd()}) or any parent directories. If you want "
        "to use an existing repository which is in a different location, set the environment variable 'ZENML_REPOSITORY_PATH'. If "
        "you want to create a new repository, run zenml init."
    )
    assert (info.levelname, info.message) == ("INFO", "Running without an active repository root.")
