"""A run as one file: written, refused when something is wrong with it, and the same when it is read."""

import hashlib
import json
import struct
import zipfile
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings

from tests.housekeeping import MemoryArtifactStore, Step, World, faults
from tests.unit.post_execution.test_prune import histories
from zenml.exceptions import (
    ArtifactCorruptedError,
    ArtifactGoneError,
    ConfigurationError,
    DuplicateRunNameError,
    InUseError,
    InvalidNameError,
    UnreadableFileError,
)
from zenml.post_execution import PipelineRunView, diff, import_run
from zenml.post_execution.prune import prune


@pytest.fixture
def here(tmp_path) -> World:
    return World(tmp_path / "here")


@pytest.fixture(params=["local", "remote"])
def there(request, tmp_path) -> World:
    return World(tmp_path / "there", remote=request.param == "remote")


@pytest.fixture
def run(here) -> PipelineRunView:
    """Two steps that ran, one that was taken from the cache, one that failed."""
    here.run("earlier", Step("load", [1, 2]))
    view = here.run(
        "monday",
        Step("load", source=("earlier", "load")),
        Step("train", {"a": 1.5}, inputs=["load"], parameters={"rate": 0.1, "name": "näive"}, log="hello\n"),
        Step("report", 3, inputs=["load", "train"], fails=True, log="oh\n"),
        git_sha="a" * 40,
        runtime_configuration={"tags": ["a"]},
    )
    here.metadata.log_metrics(view.get_step("train").id, {"loss": float("inf"), "gain": 0.5})
    here.metadata.log_parameters(view.get_step("train").id, {"note": "fine"})
    return view


@pytest.fixture
def file(run, tmp_path) -> Path:
    return run.export(tmp_path / "monday.zip")


def told(run: PipelineRunView) -> list[object]:
    """All that a view tells, without what is its own in each store."""
    return [
        (run.name, run.pipeline_name, run.stack_name, run.status, run.error, run.start_time, run.end_time),
        (run.zenml_version, run.git_sha, run.runtime_configuration, run.deployment),
        [
            (
                (
                    step.name,
                    step.status,
                    step.parameters,
                    step.error,
                    step.attempts,
                    step.cache_key,
                    step.reason,
                ),
                (step.start_time, step.end_time, step.metrics, step.logged_parameters),
                [parent.name for parent in step.parent_steps],
                {name: (a.digest, a.size, a.materializer, a.read()) for name, a in step.inputs.items()},
                {name: (a.digest, a.size, a.data_type, a.read()) for name, a in step.outputs.items()},
            )
            for step in run.steps
        ],
    ]


def test_an_imported_run_tells_the_same(run, file, there):
    imported = import_run(*there.stores, file)
    assert told(imported) == told(run)
    assert not diff(run, imported)
    assert faults(imported) == []
    assert imported.uuid != run.uuid
    assert imported.deployment.run_uuid == run.uuid
    logs = {path.split("/", 2)[2]: text for path, text in there.files().items() if path.endswith("log.txt")}
    assert logs == {"train.1/log.txt": b"hello\n", "report.1/log.txt": b"oh\n"}
    assert there.trash() == []


def test_the_same_run_gives_the_same_file(run, file, tmp_path):
    assert run.export(tmp_path / "again.zip").read_bytes() == file.read_bytes()


def test_results_of_strangers_are_never_taken_from_the_cache(run, file, there):
    keys = [step.cache_key for step in run.steps if step.cache_key]
    imported = import_run(*there.stores, file)
    assert [step.cache_key for step in imported.steps if step.cache_key] == keys
    assert there.metadata.find_results(keys, there.artifacts.path) == {}
    assert there.metadata.recent_results("digits", there.artifacts.path) == {}


def test_a_name_that_is_taken_has_a_way_out(file, there):
    import_run(*there.stores, file)
    with pytest.raises(DuplicateRunNameError, match=r"'monday' is recorded .* another name \(--name\)"):
        import_run(*there.stores, file)
    assert import_run(*there.stores, file, name="again").name == "again"
    with pytest.raises(InvalidNameError, match="cannot be the name of a run"):
        import_run(*there.stores, file, name="../up")
    assert len(there.metadata.runs()) == 2


def test_an_imported_run_can_be_exported_again_and_deleted_values_stay_noted(run, here, there, tmp_path):
    here.end("monday", age=100)
    prune(*here.stores, keep_last=0, dry_run=False)
    file = here.view("monday").export(tmp_path / "pruned.zip")
    imported = import_run(*there.stores, file)
    (one,) = [one for one in there.metadata.recorded_artifacts() if one.step == "train"]
    assert one.removed is not None
    with pytest.raises(ArtifactGoneError):
        imported.get_step("train").output.read()
    again = imported.export(tmp_path / "again.zip")
    assert not diff(imported, import_run(*there.stores, again, name="again"))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(history=histories())
def test_any_run_is_the_same_after_the_way_there(tmp_path, history):
    folder = tmp_path / uuid4().hex
    here, there = World(folder / "here"), World(folder / "there")
    for name, steps, pipeline, age, _ in history:
        here.run(name, *steps, pipeline=pipeline, age=age)
    for name, *_ in history:
        imported = import_run(*there.stores, here.view(name).export(folder / f"{name}.zip"))
        assert told(imported) == told(here.view(name))
        assert not diff(here.view(name), imported)


# What is not written


def test_a_run_that_has_not_ended_is_not_exported(here, tmp_path):
    here.run("running", Step("load", 1), unfinished=True)
    with pytest.raises(InUseError, match="'running' is running: it can be exported when it has ended"):
        here.view("running").export(tmp_path / "x.zip")


def test_a_file_is_overwritten_only_when_asked(run, file):
    before = file.read_bytes()
    with pytest.raises(FileExistsError, match="exists already: name another file, or give overwrite"):
        run.export(file)
    file.write_text("something else")
    assert run.export(file, overwrite=True).read_bytes() == before
    with pytest.raises(FileExistsError, match="exists already"):
        run.export(file.parent, overwrite=True)


@pytest.mark.parametrize(
    ("content", "error"), [(None, ArtifactGoneError), (b"[1, 3]", ArtifactCorruptedError)]
)
def test_a_value_that_is_not_what_was_written_is_not_exported(run, tmp_path, content, error):
    path = Path(run.get_step("train").output.uri) / "data.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(error):
        run.export(tmp_path / "x.zip")
    assert [p.name for p in tmp_path.iterdir() if "zip" in p.name] == []


def test_a_run_with_values_elsewhere_is_not_exported(run, here, there, tmp_path):
    here.artifacts = there.artifacts
    here.stores = (here.metadata, there.artifacts)
    with pytest.raises(
        ConfigurationError, match="lies in the artifact store at .* with a stack that has that one"
    ):
        here.view("monday").export(tmp_path / "x.zip")


# What is refused where it arrives


def refused(world: World, file: Path, error=UnreadableFileError, **options) -> str:
    """Why a file is not imported, after which nothing of it is there."""
    with pytest.raises(error) as caught:
        import_run(*world.stores, file, **options)
    assert world.metadata.runs() == []
    assert (world.files(), world.trash()) == ({}, [])
    return str(caught.value)


def rewritten(file: Path, change) -> Path:
    """The file with its content changed: `change` gets the files by name, in order."""
    with zipfile.ZipFile(file) as old:
        content = {name: old.read(name) for name in old.namelist()}
    extra = change(content) or []
    with zipfile.ZipFile(file, "w") as new:
        for name, data in [*content.items(), *extra]:
            new.writestr(name, data)
    return file


def edited(file: Path, edit) -> Path:
    """The file with its run.json changed by `edit`."""

    def change(content):
        document = json.loads(content["run.json"])
        edit(document)
        content["run.json"] = json.dumps(document).encode()

    return rewritten(file, change)


def test_something_else_is_no_run(there, tmp_path):
    text = tmp_path / "x.zip"
    text.write_text("hello")
    assert "is no exported run, or was damaged" in refused(there, text)
    with zipfile.ZipFile(text, "w") as other:
        other.writestr("hello.txt", "hello")
    assert "it holds no run.json" in refused(there, text)
    with pytest.raises(FileNotFoundError):
        import_run(*there.stores, tmp_path / "missing.zip")


def test_a_truncated_file_is_refused(file, there, tmp_path):
    content = file.read_bytes()
    for length in range(0, len(content), 97):
        file.write_bytes(content[:length])
        assert "was damaged" in refused(there, file)


def test_a_flipped_bit_never_changes_what_is_imported(run, file, tmp_path):
    """Wherever it is: the file is refused, or the bit means nothing (a date, an attribute)."""
    content = file.read_bytes()
    expected = told(run)
    kept = 0
    for position in range(0, len(content), 61):
        there = World(tmp_path / f"{position}")
        file.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        try:
            imported = import_run(*there.stores, file)
        except (UnreadableFileError, ConfigurationError):
            assert there.metadata.runs() == []
            assert (there.files(), there.trash()) == ({}, [])
        else:
            kept += 1
            assert told(imported) == expected
    assert kept < len(content) / 61 / 3


def test_changed_values_and_logs_are_refused(file, there):
    content = file.read_bytes()
    with zipfile.ZipFile(file) as zipped:
        names = [name for name in zipped.namelist() if name != "run.json"]
    assert {name.partition("/")[0] for name in names} == {"values", "logs", "deployment.json"}
    for name in names:
        file.write_bytes(content)
        rewritten(file, lambda files, name=name: files.update({name: files[name][:-1] + b"!"}))
        assert f"{name!r} is not what" in refused(there, file) or name == "deployment.json"
        rewritten(file, lambda files, name=name: files.update({name: files[name] + b"!"}))
        refused(there, file)
        rewritten(file, lambda files, name=name: files.pop(name) and None)
        assert "names other files than it holds" in refused(there, file)


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/x",
        "/etc/x",
        "..",
        ".",
        "a/../../x",
        "a//b",
        "./a",
        "C:/x",
        "a\\..\\..\\x",
        "a\0b",
        "",
        "a/",
    ],
)
def test_paths_that_lead_out_of_their_folder_are_refused(file, there, path):
    def lead_out(document):
        manifest = document["steps"][0]["outputs"][0]["manifest"][0]
        manifest["path"] = path
        lines = f"{manifest['sha256']} {manifest['size']} {path}\n"
        document["steps"][0]["outputs"][0]["digest"] = hashlib.sha256(lines.encode()).hexdigest()

    assert "manifest.0.path" in refused(there, edited(file, lead_out))


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "a\\b", "a\0b", "", "x" * 201, "a\ud800"])
@pytest.mark.parametrize("what", ["step", "output"])
def test_names_that_lead_elsewhere_are_refused(file, there, name, what):
    def rename(document):
        step = document["steps"][1]
        (step if what == "step" else step["outputs"][0])["name"] = name

    assert "name" in refused(there, edited(file, rename))


def _extra_file(content):
    content["values/../../x"] = b"x"


def _twice(content):
    return [("run.json", content["run.json"])]


@pytest.mark.parametrize("change", [_extra_file, _twice])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_that_run_json_does_not_name_are_refused(file, there, change):
    assert "names other files than it holds" in refused(there, rewritten(file, change))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d.pop("run"), "run: Field required"),
        (lambda d: d.update(format="something"), "format: Input should be 'zenml run'"),
        (lambda d: d.update(more=1), "more: Extra inputs"),
        (lambda d: d["run"].update(status="running"), "has not ended"),
        (lambda d: d["run"].update(status="odd"), "run.status"),
        (lambda d: d["run"].update(uuid="../x"), "run.uuid"),
        (lambda d: d["run"].update(created="soon"), "run.created"),
        (lambda d: d["run"].update(name="a\nb"), "run.name"),
        (lambda d: d["steps"][0].update(status="running"), "has not ended"),
        (lambda d: d["steps"][1].update(name="load"), "a step is in it twice"),
        (lambda d: d["steps"][1].update(name="unknown"), "'unknown' is none of the compiled pipeline"),
        (lambda d: d["steps"][1]["inputs"][0].update(step=99), "comes from nowhere"),
        (lambda d: d["steps"][1]["inputs"][0].update(output="x"), "comes from nowhere"),
        (lambda d: d["steps"][1].update(inputs=d["steps"][1]["inputs"] * 2), "an input or output twice"),
        (lambda d: d["steps"][1].update(each_attempt=d["steps"][1]["each_attempt"] * 2), "an attempt twice"),
        (
            lambda d: d["steps"][0]["outputs"][0].update(digest="0" * 64),
            "does not have the digest of its files",
        ),
        (lambda d: d["steps"][1]["each_attempt"][0].update(number=0), "number"),
        (lambda d: d["steps"][0].update(map_index=-2), "map_index"),
    ],
)
def test_what_cannot_be_is_refused(file, there, edit, message):
    assert message in refused(there, edited(file, edit))


@pytest.mark.parametrize("text", [b"{", b"[]", b"[" * 100_000, b"\xff", b'{"version": 2}', b"null"])
def test_a_run_json_that_is_none_is_refused(file, there, text):
    message = refused(
        there, rewritten(file, lambda content: content.update({"run.json": text})), ConfigurationError
    )
    assert ("update zenml here" in message) == (text == b'{"version": 2}')


@pytest.mark.parametrize("text", [b"{}", b"[]", b"{", b'{"version": 99}'])
def test_a_deployment_that_is_none_is_refused(file, there, text):
    def change(content):
        content["deployment.json"] = text
        document = json.loads(content["run.json"])
        document["deployment"] |= {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
        content["run.json"] = json.dumps(document).encode()

    message = refused(there, rewritten(file, change), ConfigurationError)
    assert ("update zenml here" in message) == (b"99" in text)


def test_a_run_that_is_too_large_is_refused(file, there):
    message = refused(there, file, ConfigurationError, max_size=10)
    assert "10 are allowed: allow more with max_size (--max-size) if you trust it" in message


def test_a_file_that_holds_more_than_it_says_is_not_unpacked(file, there):
    """The sizes in the zip file's directory and in run.json are small; what it would give is not."""
    bomb = b"\0" * 50_000_000

    def change(content):
        content["values/0/data.json"] = bomb

    with zipfile.ZipFile(file) as old:
        content = {name: old.read(name) for name in old.namelist()}
    change(content)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in content.items():
            new.writestr(name, data)
    raw = file.read_bytes().replace(struct.pack("<L", len(bomb)), struct.pack("<L", 6))
    file.write_bytes(raw)
    refused(there, file)


def test_no_secret_is_in_the_file(file):
    with zipfile.ZipFile(file) as zipped:
        names = set(zipped.namelist())
        owner = b"boot"
        assert not any(owner in zipped.read(name) for name in names)


def test_a_remote_store_is_exported_too(tmp_path, there):
    world = World(tmp_path / "remote", remote=True)
    assert isinstance(world.artifacts, MemoryArtifactStore)
    run = world.run("monday", Step("load", list(range(100_000)), log="hello\n"))
    assert told(import_run(*there.stores, run.export(tmp_path / "x.zip"))) == told(run)
