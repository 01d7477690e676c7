"""What ran: its artifacts, comparisons, exports, and how it is removed."""

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.conftest import Zenml, own_imports
from tests.cli.test_general import PROGRAM
from zenml.model.runs import code_folder
from zenml.repository import Repository

CODE = """\
from zenml.pipelines import pipeline
from zenml.steps import step


@step
def load(count: int = 3) -> list[float]:
    print("loading")
    return [float(i) for i in range(count)]


@step
def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pipeline
def averages(count: int):
    mean(load(count=count))
"""


def run(name: str, count: int = 3) -> None:
    """Run the pipeline as `python` would."""
    with own_imports():
        sys.path.insert(0, str(Path.cwd()))
        import_module("averages").averages(count).run(run_name=name)


@pytest.fixture
def ran(quiet: Zenml) -> Zenml:
    """After two runs; the second one took everything from the cache."""
    Path("averages.py").write_text(CODE)
    run("first")
    run("second")
    return quiet


def said(result: Result) -> list[str]:
    """What a command said below its header, without times, ids and places of this machine."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "MOMENT", result.output)
    text = re.sub(r"\b[0-9a-f]{32}\b", "ENTRY", text)
    text = re.sub(r"undo [0-9a-f]{8}", "undo ENTRY", text)
    text = re.sub(r"\d+\.\d{3}\b", "SECONDS", text).replace(str(Path.cwd()), "CWD")
    return [line.rstrip() for line in text.splitlines()[2:]]


def document(result: Result) -> object:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def output_file(step: str) -> Path:
    pipeline = Repository().get_pipeline("averages")
    assert pipeline is not None
    return Path(pipeline.get_run("first").get_step(step).output.uri) / "data.json"


# Artifacts


def test_artifacts_are_listed(ran: Zenml) -> None:
    assert said(ran("artifact", "list")) == [
        "┏━━━━┯━━━━━━━━┯━━━━━━━┯━━━━━━┯━━━━━━━┯━━━━━━┯━━━━━━━━━━━━━━━━━━━━━━━━━━━┓",
        "┃ ID │ NAME   │ TYPE  │ SIZE │ RUN   │ STEP │ CREATED                   ┃",
        "┠────┼────────┼───────┼──────┼───────┼──────┼───────────────────────────┨",
        "┃ 2  │ output │ float │ 3 B  │ first │ mean │ MOMENT ┃",
        "┃ 1  │ output │ list  │ 13 B │ first │ load │ MOMENT ┃",
        "┗━━━━┷━━━━━━━━┷━━━━━━━┷━━━━━━┷━━━━━━━┷━━━━━━┷━━━━━━━━━━━━━━━━━━━━━━━━━━━┛",
    ]
    documents = document(ran("artifact", "list", "--run", "second", "--step", "load", "-o", "json"))
    assert [(one["id"], one["run"], one["size"], one["removed"]) for one in documents] == [
        (1, "first", 13, None)
    ]
    assert len(document(ran("artifact", "list", "--limit", "1", "-o", "json"))) == 1
    assert said(ran("artifact", "list", "--pipeline", "averages", "--step", "x")) == [
        "There are no such artifacts on the active stack."
    ]


def test_what_cannot_be_done_with_artifacts_is_said(ran: Zenml) -> None:
    for arguments, message in (
        (("list", "--run", "firs"), "There is no run 'firs' on the active stack. Did you mean 'first'?"),
        (("list", "--pipeline", "average"), "no runs on the active stack. Did you mean 'averages'?"),
        (("describe", "99"), "The metadata store 'default' has no artifact with the id 99."),
        (("describe", "x"), "'x' is not a valid integer"),
        (("verify",), "Give IDs, or --run NAME, or --all."),
        (("verify", "1", "--all"), "Give IDs, or --run NAME, or --all."),
        (("verify", "99"), "no artifact with the id 99"),
        (("export", "99", "--to", "x"), "no artifact with the id 99"),
        (("export", "1"), "Missing option '--to'"),
        (
            ("export", "1", "--to", "averages.py"),
            "exists already: name another folder, or give overwrite (--overwrite)",
        ),
    ):
        result = ran("artifact", *arguments)
        assert result.exit_code != 0
        assert message in result.output


def test_an_artifact_is_described_with_all_that_uses_it(ran: Zenml) -> None:
    described = document(ran("artifact", "describe", "1", "-o", "json"))
    assert described["materializer"] == "zenml.materializers.built_in_materializer.BuiltInMaterializer"
    assert [(file["path"], file["size"]) for file in described["files"]] == [("data.json", 13)]
    assert described["used_by"] == [
        {"run": "first", "step": "load", "as": "output", "name": "output"},
        {"run": "second", "step": "load", "as": "cached output", "name": "output"},
        {"run": "first", "step": "mean", "as": "input", "name": "values"},
        {"run": "second", "step": "mean", "as": "input", "name": "values"},
    ]
    lines = said(ran("artifact", "describe", "1"))
    assert "┃ cached output │ output of load in second" in "\n".join(lines)


def test_artifacts_are_verified(ran: Zenml) -> None:
    whole = ran("artifact", "verify", "--all")
    assert (whole.exit_code, said(whole)) == (0, ["Verified 2 artifacts: all files are what was written."])
    output_file("mean").write_text("1.1")
    output_file("load").unlink()
    result = ran("artifact", "verify", "--run", "second")
    assert result.exit_code == 1
    assert "Of 2 artifacts, 2 cannot be read as written." in result.output
    assert "│ altered │ data.json │" in result.output
    assert "│ missing │ data.json │" in result.output
    assert ran("artifact", "verify", "2").exit_code == 1
    faults = ran("artifact", "verify", "1", "-o", "json")
    assert [fault["fault"] for one in json.loads(faults.stdout) for fault in one["faults"]] == ["missing"]


def test_an_artifact_is_exported(ran: Zenml) -> None:
    assert said(ran("artifact", "export", "1", "--to", "copy")) == [
        "Copied artifact 1, 'output' (13 B), to 'CWD/copy'."
    ]
    assert json.loads(Path("copy/data.json").read_text()) == [0.0, 1.0, 2.0]
    assert ran("artifact", "export", "1", "--to", "copy").exit_code == 1
    assert ran("artifact", "export", "1", "--to", "copy", "--overwrite").exit_code == 0


# Comparing


def test_runs_that_do_not_differ_say_so(ran: Zenml) -> None:
    lines = said(ran("pipeline", "runs", "diff", "second", "second"))
    assert lines[0].startswith(
        "The runs 'second' and 'second' do not differ: code, parameters, settings, environment"
    )
    assert lines[2] == "┃ SECONDS │ second │ second ┃"


def test_runs_are_compared(ran: Zenml) -> None:
    run("third", 4)
    lines = said(ran("pipeline", "runs", "diff", "first", "third"))
    assert [re.sub(r"[0-9a-f]{12}", "DIGEST", line) for line in lines[:8]] == [
        "┏━━━━━━┯━━━━━━━━━━━┯━━━━━━━━━━━━━━━━┯━━━━━━━━━━━━━━┯━━━━━━━━━━━━━━┓",
        "┃ STEP │ WHAT      │ NAME           │ first        │ third        ┃",
        "┠──────┼───────────┼────────────────┼──────────────┼──────────────┨",
        "┃      │ setting   │ argument count │ 3            │ 4            ┃",
        "┃ load │ parameter │ count          │ 3            │ 4            ┃",
        "┃ load │ output    │ output         │ DIGEST │ DIGEST ┃",
        "┃ mean │ input     │ values         │ DIGEST │ DIGEST ┃",
        "┃ mean │ output    │ output         │ DIGEST │ DIGEST ┃",
    ]
    found = document(ran("pipeline", "runs", "diff", "first", "third", "-o", "json"))
    assert found["differences"][1] == {
        "step": "load",
        "kind": "parameter",
        "name": "count",
        "old": 3,
        "new": 4,
    }
    assert [times["step"] for times in found["seconds"]] == ["", "load", "mean"]
    unknown = ran("pipeline", "runs", "diff", "first", "thir")
    assert "There is no run 'thir' on the active stack. Did you mean 'third'?" in unknown.output


# Pruning


def test_prune_tells_before_it_does_and_what_it_did_can_be_undone(ran: Zenml) -> None:
    run("third", 4)
    assert said(ran("prune")) == ["There is nothing to remove."]
    assert said(ran("prune", "--keep-last", "0")) == [
        "┏━━━━━━━━━━┯━━━━━━━┯━━━━━━━━━━━┯━━━━━━━━━━━━━━━━━━━━━━━━━━━┯━━━━━━━━━━━┯━━━━━━┓",
        "┃ PIPELINE │ RUN   │ STATUS    │ ENDED                     │ ARTIFACTS │ SIZE ┃",
        "┠──────────┼───────┼───────────┼───────────────────────────┼───────────┼──────┨",
        "┃ averages │ first │ completed │ MOMENT │ 2         │ 16 B ┃",
        "┃ averages │ third │ completed │ MOMENT │ 2         │ 20 B ┃",
        "┗━━━━━━━━━━┷━━━━━━━┷━━━━━━━━━━━┷━━━━━━━━━━━━━━━━━━━━━━━━━━━┷━━━━━━━━━━━┷━━━━━━┛",
        "Would remove 4 artifacts (36 B) of 2 runs, and what 0 failed attempts left",
        "behind (0 B).",
        "Nothing was changed: give --yes to do it.",
    ]
    assert ran("artifact", "verify", "--all").exit_code == 0

    done = document(ran("prune", "--keep-last", "0", "--yes", "-o", "json"))
    assert (done["dry_run"], done["artifacts"], done["bytes"], done["waits_for"]) == (False, 4, 36, {})
    assert [one["name"] for one in done["runs"]] == ["first", "third"]
    assert said(ran("artifact", "verify", "--all")) == [
        "Verified 0 artifacts: all files are what was written.",
        "Left out: 4 artifacts removed by `zenml prune`.",
    ]
    assert ran("artifact", "verify", "1").exit_code == 1
    listed = document(ran("prune", "list", "-o", "json"))
    assert [(one["removed_by"], one["state"], one["files"]) for one in listed] == [("prune", "done", 4)]

    assert said(ran("prune", "undo")) == ["Brought back what `prune` removed on MOMENT: 4 files (36 B)."]
    assert said(ran("artifact", "verify", "--all")) == [
        "Verified 4 artifacts: all files are what was written."
    ]
    assert said(ran("prune", "list")) == ["The trash is empty."]


def test_the_trash_is_emptied_when_somebody_agrees(ran: Zenml) -> None:
    ran("prune", "--keep-last", "0", "--yes")
    refused = ran("prune", "empty")
    assert refused.exit_code == 2
    assert "There is no terminal to answer on: give --yes." in refused.output
    assert said(ran("prune", "empty", "--older-than", "1d")) == ["There is nothing to delete."]
    assert said(ran("prune", "empty", "--yes")) == ["Deleted 1 removal in the trash (16 B)."]
    gone = ran("prune", "undo")
    assert gone.exit_code == 1
    assert "Error: The trash of the artifact store 'default' is empty." in gone.output


def test_what_cannot_be_pruned_is_said(quiet: Zenml) -> None:
    for arguments, message in (
        (
            ("--older-than", "3x"),
            "'3x' is no time span; expected a number and s, m, h, d or w, as in 30d or 12h.",
        ),
        (("--keep-last", "-1"), "-1 is not in the range x>=0"),
        (("undo", "abc"), "The trash of the artifact store 'default' has no entry 'abc'."),
        (("emty",), "No such command 'emty'"),
    ):
        result = quiet("prune", *arguments)
        assert result.exit_code != 0
        assert message in result.output


def test_prune_tells_of_code_that_no_run_refers_to(quiet: Zenml) -> None:
    stack = Repository().active_stack
    folder = Path(code_folder(stack.artifact_store.path, stack.metadata_store.uuid)) / "2020-01-01"
    folder.mkdir(parents=True)
    (folder / "sent.tar").write_text("code")
    told = "1 archive of code (4 B) that no run to keep refers to."
    assert said(quiet("prune")) == [f"Would remove {told}", "Nothing was changed: give --yes to do it."]
    (archive,) = document(quiet("prune", "-o", "json"))["code"]
    assert (archive["path"].rpartition("/")[2], archive["bytes"]) == ("sent.tar", 4)
    assert said(quiet("prune", "--yes"))[0] == f"Removed {told}"
    assert not folder.exists()


def test_prune_in_a_place_without_runs(quiet: Zenml) -> None:
    assert said(quiet("prune", "--older-than", "1d", "--yes")) == ["There is nothing to remove."]
    assert said(quiet("prune", "list")) == ["The trash is empty."]
    assert said(quiet("artifact", "verify", "--all")) == [
        "Verified 0 artifacts: all files are what was written."
    ]


# Deleting


def test_runs_are_deleted_and_come_back(ran: Zenml) -> None:
    refused = ran("pipeline", "runs", "delete", "first", "--yes")
    assert refused.exit_code == 1
    assert "'first' cannot be deleted: 'second' took results of it from the cache." in refused.output
    asked = ran("pipeline", "runs", "delete", "second")
    assert "This will delete the run 'second'. Are you sure you want to proceed?" in asked.output
    assert asked.exit_code == 2
    assert said(ran("pipeline", "runs", "delete", "first", "second", "--yes")) == [
        "Deleted 'first', 'second'; `zenml prune undo ENTRY` brings back what was deleted."
    ]
    assert said(ran("pipeline", "runs", "list")) == ["No pipelines have run on the active stack."]
    assert said(ran("prune", "undo"))[0].endswith(", and the runs 'first', 'second'.")
    assert [one["name"] for one in document(ran("pipeline", "runs", "list", "-o", "json"))] == [
        "second",
        "first",
    ]
    run("fourth")
    fourth = document(ran("pipeline", "runs", "describe", "fourth", "-o", "json"))
    assert {step["status"] for step in fourth["steps"]} == {"cached"}


# Moving


def test_a_run_is_exported_and_imported_in_another_home(ran: Zenml, tmp_path: Path) -> None:
    exported = ran("pipeline", "runs", "export", "second", "--to", "second.zip")
    assert re.fullmatch(r"Exported run 'second' to 'CWD/second.zip' \(\d\.\d kB\)\.", said(exported)[0])
    assert "exists already" in ran("pipeline", "runs", "export", "second", "--to", "second.zip").output

    home = tmp_path / "elsewhere"
    home.mkdir()

    def there(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *arguments],
            env={**os.environ, "HOME": str(home)},
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )

    file = str(Path("second.zip").absolute())
    imported = there("pipeline", "runs", "import", file)
    assert "Imported run 'second' of the pipeline 'averages': completed, 2 steps." in imported.stdout, (
        imported.stderr
    )
    described = json.loads(there("pipeline", "runs", "describe", "second", "-o", "json").stdout)
    assert [(step["name"], step["status"]) for step in described["steps"]] == [
        ("load", "cached"),
        ("mean", "cached"),
    ]
    assert there("artifact", "verify", "--all").returncode == 0
    again = there("pipeline", "runs", "import", file)
    assert again.returncode == 1
    assert "import this one under another name (--name)" in again.stderr
    assert there("pipeline", "runs", "import", file, "--name", "copy").returncode == 0
    small = there("pipeline", "runs", "import", file, "--name", "copy 2", "--max-size", "3B")
    assert "3 are allowed: allow more with max_size (--max-size)" in small.stderr
    wrong = there("pipeline", "runs", "import", file, "--max-size", "large")
    assert "'large' is no size; expected a number of bytes, or text like 4GB." in wrong.stderr
    nothing = there("pipeline", "runs", "import", "nothing.zip")
    assert "does not exist" in nothing.stderr
