import multiprocessing
from pathlib import Path

import click
import pytest

from zenml.config import repository_config
from zenml.config.global_config import GlobalConfiguration, default_config_directory
from zenml.config.profile_config import ProfileConfiguration
from zenml.config.repository_config import RepositoryConfiguration
from zenml.enums import StoreType
from zenml.exceptions import (
    ConfigurationError,
    DoesNotExistException,
    EntityExistsError,
    InitializationException,
    UnreadableFileError,
)

spawned = multiprocessing.get_context("spawn")


def profile(name: str, stack: str | None = "default") -> ProfileConfiguration:
    return ProfileConfiguration(name, StoreType.LOCAL, f"file:///stores/{name}", stack)


def test_the_folder_is_the_one_that_click_would_choose(monkeypatch, tmp_path):
    assert str(default_config_directory()) == click.get_app_dir("zenml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert str(default_config_directory()) == click.get_app_dir("zenml")
    monkeypatch.setenv("ZENML_CONFIG_PATH", "relative")
    assert default_config_directory() == Path.cwd() / "relative"


def test_there_is_one_object_and_as_many_independent_ones_as_wanted(tmp_path, monkeypatch):
    assert GlobalConfiguration() is GlobalConfiguration()
    other = GlobalConfiguration(config_path=tmp_path / "other")
    other.add_profile(profile("a"), activate=True)

    assert GlobalConfiguration().profiles == {}
    monkeypatch.setenv("ZENML_CONFIG_PATH", str(tmp_path / "other"))
    assert GlobalConfiguration().activated_profile == "a"


def test_reading_writes_nothing():
    assert GlobalConfiguration().profiles == {}
    assert GlobalConfiguration().activated_profile is None
    assert not GlobalConfiguration().config_directory.exists()


def test_profiles_are_kept_and_found():
    config = GlobalConfiguration()
    config.add_profile(profile("zenml"))
    config.add_profile(profile("default"), activate=True)
    config.activate_stack("zenml", "custom")

    assert list(config.profiles) == ["default", "zenml"]
    assert config.get_profile("zenml") == profile("zenml", "custom")
    assert config.activated_profile == "default"
    assert config.file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(EntityExistsError, match="Profile 'zenml' already exists"):
        config.add_profile(profile("zenml"))
    with pytest.raises(
        DoesNotExistException, match=r"Profile 'zenlm' does not exist\. Did you mean 'zenml'\?"
    ):
        config.activate_profile("zenlm")
    config.delete_profile("zenml")
    assert not config.has_profile("zenml")


def test_fields_that_another_version_wrote_are_kept():
    config = GlobalConfiguration()
    config.config_directory.mkdir(parents=True)
    config.file.write_text(
        "user_id: 90f395e6\nprofiles:\n  default:\n    {name: default, store_type: local, store_url: /a, colour: green}\n"
    )
    config.activate_stack("default", "custom")

    text = config.file.read_text()
    assert "user_id: 90f395e6" in text
    assert "colour: green" in text
    assert "active_stack: custom" in text


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", UnreadableFileError, "config.yaml, line 1: expected a mapping, but it is empty"),
        ("shopping: [milk]\n", UnreadableFileError, "config.yaml, line 1: this is no zenml configuration"),
        (
            "profiles: {}\nactivated_profile: [a\n",
            UnreadableFileError,
            "config.yaml, line 3: this is no valid YAML",
        ),
        (
            "profiles:\n- default\n",
            UnreadableFileError,
            "config.yaml, line 2: 'profiles' must map names to profiles",
        ),
        (
            "profiles: {}\nactivated_profile: 3\n",
            UnreadableFileError,
            "config.yaml, line 2: 'activated_profile' must be a name",
        ),
        ("version: 2\nprofiles: {}\n", ConfigurationError, "was written by another version (its format is 2"),
        (
            "version: 0.10.0\nprofiles: {}\n",
            ConfigurationError,
            "was written by another version (its format is '0.10.0'",
        ),
        (
            "profiles:\n  a:\n    store_type: rest\n    store_url: /a\n",
            UnreadableFileError,
            "line 3: this is no profile: store_type is 'rest'",
        ),
        (
            "profiles:\n  a:\n    store_type: local\n",
            UnreadableFileError,
            "line 3: this is no profile: 'store_url' is missing",
        ),
    ],
)
def test_an_unreadable_configuration_is_never_overwritten(content, error, message):
    config = GlobalConfiguration()
    config.config_directory.mkdir(parents=True)
    config.file.write_text(content)

    for use in (lambda: config.profiles, lambda: config.activate_stack("a", "b")):
        with pytest.raises(error) as caught:
            use()
        assert message in str(caught.value)
    assert config.file.read_text() == content


def _add(path: str, worker: int) -> None:
    for n in range(10):
        GlobalConfiguration(config_path=path).add_profile(profile(f"p{worker}-{n}"))


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    processes = [spawned.Process(target=_add, args=(str(tmp_path), worker)) for worker in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert len(GlobalConfiguration(config_path=tmp_path).profiles) == 30


def test_a_repository_holds_one_file_with_two_keys(tmp_path):
    root = tmp_path / "project"
    repository_config.create(root, RepositoryConfiguration("default", "default"))

    assert [p.name for p in (root / ".zen").iterdir()] == ["config.yaml"]
    assert (
        root / ".zen" / "config.yaml"
    ).read_text() == "active_profile_name: default\nactive_stack_name: default\n"
    with pytest.raises(InitializationException, match=f"Found existing ZenML repository at path '{root}'"):
        repository_config.create(root, RepositoryConfiguration())


def test_an_empty_zen_folder_says_nothing(tmp_path):
    (tmp_path / ".zen").mkdir()
    assert repository_config.read(tmp_path) == RepositoryConfiguration()


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / ".zen").write_text("")
    with pytest.raises(InitializationException, match="is a file, not a folder"):
        repository_config.create(tmp_path, RepositoryConfiguration())


def test_a_broken_repository_configuration_is_left_alone(tmp_path):
    (tmp_path / ".zen").mkdir()
    file = tmp_path / ".zen" / "config.yaml"
    for content, message in [
        ("active_profile_name: [a\n", "line 2: this is no valid YAML"),
        (
            "active_profile_name: default\nactive_stack_name: [a]\n",
            "line 2: 'active_stack_name' must be a name",
        ),
        ("", "line 1: expected a mapping, but it is empty"),
    ]:
        file.write_text(content)
        with pytest.raises(UnreadableFileError, match=message), repository_config.change(tmp_path) as data:
            data["active_profile_name"] = "x"
        assert file.read_text() == content
