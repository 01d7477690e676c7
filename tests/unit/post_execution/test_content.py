"""The files of a stored value: verified, and copied out of the store."""

from pathlib import Path

import pytest

from tests.housekeeping import Step, World
from zenml.exceptions import ArtifactCorruptedError, ArtifactError, ArtifactGoneError
from zenml.model.runs import ArtifactRecord, FileEntry, manifest_digest
from zenml.post_execution import ArtifactView, artifact_view
from zenml.post_execution.content import Fault, export_value, faults


@pytest.fixture(params=["local", "remote"])
def world(request, tmp_path) -> World:
    return World(tmp_path / "world", remote=request.param == "remote")


@pytest.fixture
def artifact(world) -> ArtifactView:
    return world.run("run", Step("load", list(range(500_000)))).get_step("load").output


def write(world: World, artifact: ArtifactView, content: bytes) -> None:
    with world.artifacts.open(f"{artifact.uri}/data.json", "wb") as file:
        file.write(content)


def read(world: World, artifact: ArtifactView) -> bytes:
    with world.artifacts.open(f"{artifact.uri}/data.json", "rb") as file:
        return file.read()


def test_what_was_written_is_what_is_there(artifact):
    assert artifact.verify() == []


def test_a_flipped_bit_more_and_less_are_found(world, artifact):
    content = read(world, artifact)
    for changed, said in (
        (content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], "its SHA-256 was"),
        (content[:-1], f"{len(content)} bytes were written, {len(content) - 1} are there"),
        (content + b" " * 3_000_000, f"{len(content)} bytes were written, more are there"),
        (b"", "0 are there"),
    ):
        write(world, artifact, changed)
        (fault,) = artifact.verify()
        assert (fault.path, fault.kind) == ("data.json", "altered")
        assert said in fault.detail


def test_a_missing_file_is_told_from_an_altered_one(world, artifact):
    world.artifacts.remove(f"{artifact.uri}/data.json")
    assert artifact.verify() == [Fault("data.json", "missing", f"there is no such file below {artifact.uri}")]


def test_a_manifest_that_was_changed_in_the_metadata_store_is_found(world):
    manifest = (FileEntry("a", 0, "0" * 64),)
    record = ArtifactRecord(
        "x", f"{world.artifacts.path}/x", world.artifacts.path, "", "", "", manifest, "1" * 64, 0
    )
    assert [(fault.path, fault.kind) for fault in faults(record, world.artifacts)] == [
        ("", "altered"),
        ("a", "missing"),
    ]


def test_a_view_of_an_artifact_by_its_id(world, artifact):
    assert artifact_view(*world.stores, artifact.id).digest == artifact.digest


# Copies


def test_a_copy_is_a_new_folder(world, artifact, tmp_path):
    folder = artifact.export(tmp_path / "a" / "copy")
    assert folder == tmp_path / "a" / "copy"
    assert [path.name for path in folder.iterdir()] == ["data.json"]
    assert (folder / "data.json").read_bytes() == read(world, artifact)
    assert [path.name for path in folder.parent.iterdir()] == ["copy"]


def test_a_folder_is_replaced_only_if_it_holds_an_earlier_copy(world, artifact, tmp_path):
    folder = artifact.export(tmp_path / "copy")
    with pytest.raises(FileExistsError, match="exists already: name another folder, or give overwrite"):
        artifact.export(folder)
    (folder / "data.json").write_text("old")
    artifact.export(folder, overwrite=True)
    assert (folder / "data.json").read_bytes() == read(world, artifact)
    (folder / "thesis.txt").write_text("three years of work")
    with pytest.raises(
        FileExistsError, match=r"holds files that are none of the artifact 'output', as 'thesis.txt'"
    ):
        artifact.export(folder, overwrite=True)
    assert (folder / "thesis.txt").exists()
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(FileExistsError, match="is no folder"):
        artifact.export(file, overwrite=True)
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(FileExistsError, match="is no folder"):
        artifact.export(link, overwrite=True)


@pytest.mark.parametrize(("content", "error"), [(None, ArtifactGoneError), (b"[]", ArtifactCorruptedError)])
def test_nothing_is_left_of_a_copy_that_fails(world, artifact, tmp_path, content, error):
    before = artifact.export(tmp_path / "copies" / "kept")
    if content is None:
        world.artifacts.remove(f"{artifact.uri}/data.json")
    else:
        write(world, artifact, content)
    for target, overwrite in (("new", False), ("kept", True)):
        with pytest.raises(error, match="'output' is (gone|corrupted): .*'data.json'"):
            artifact.export(tmp_path / "copies" / target, overwrite=overwrite)
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["kept"]
    assert (before / "data.json").stat().st_size == artifact.size


def test_a_recorded_path_that_leads_elsewhere_is_not_followed(world, tmp_path):
    entry = FileEntry("../../up", 0, "0" * 64)
    record = ArtifactRecord(
        "x", "y", world.artifacts.path, "", "", "", (entry,), manifest_digest((entry,)), 0
    )
    with pytest.raises(ArtifactError, match="names a file outside of its folder"):
        export_value(record, world.artifacts, tmp_path / "copy")
    assert not Path(tmp_path / "copy").exists()
