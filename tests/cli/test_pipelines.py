import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from rich.console import Console

from tests.cli.conftest import Zenml, own_imports
from tests.cli.test_general import PROGRAM
from zenml.cli.progress import LiveObserver
from zenml.enums import ExecutionStatus
from zenml.model.runs import ErrorRecord
from zenml.repository import Repository

CODE = """\
from zenml.materializers import BaseMaterializer
from zenml.pipelines import pipeline
from zenml.steps import BaseStepConfig, step


class Config(BaseStepConfig):
    number: int = 3


@step
def load(config: Config) -> int:
    return config.number


@step
def double(x: int) -> int:
    return 2 * x


@pipeline
def training(loader, doubler):
    doubler(loader())


if __name__ == "__main__":
    training(loader=load(), doubler=double()).run()
"""

DIRECT = """\
from zenml.pipelines import pipeline
from zenml.steps import step


@step
def load() -> int:
    print("loading")
    return 1


@step
def divide(x: int) -> float:
    return x / 0


@step
def show(x: float) -> None:
    print(x)


@pipeline
def dividing():
    show(divide(load()))
"""

CONFIG = """\
name: training
steps:
  loader:
    source: {name: load}
    parameters: {number: 7}
  doubler:
    source: {name: double}
"""


@pytest.fixture
def zenml_run(quiet: Zenml) -> Zenml:
    def run(*arguments: str) -> Result:
        with own_imports():
            return quiet("pipeline", "run", *arguments)

    return run


def lines(result: Result) -> list[str]:
    """What was printed, without what differs between two runs."""
    text = re.sub(r"-\d\d_\w{3}_\d\d-\d\d_\d\d_\d\d_\d+", "-TIME", result.stdout)
    return re.sub(r"in \d+\.\d+s", "in TIME", text).splitlines()


def test_run_with_a_configuration(zenml_run: Zenml) -> None:
    Path("train.py").write_text(CODE)
    Path("config.yaml").write_text(CONFIG)
    result = zenml_run("train.py", "-c", "config.yaml")
    assert result.exit_code == 0, result.output
    assert lines(result) == [
        "Running with active profile: 'default' (local)",
        "Running with active stack: 'default'",
        "Creating run for pipeline: `training`",
        "Cache enabled for pipeline `training`",
        "Using stack `default` to run pipeline `training`...",
        "Step `loader` has started.",
        "Step `loader` has finished in TIME.",
        "Step `doubler` has started.",
        "Step `doubler` has finished in TIME.",
        "Pipeline run `training-TIME` has finished in TIME.",
    ]
    pipeline = Repository().get_pipeline("training")
    assert pipeline is not None
    assert pipeline.runs[-1].get_step("doubler").output.read() == 14


def test_script_and_command_share_a_cache(zenml_run: Zenml) -> None:
    Path("train.py").write_text(CODE)
    Path("config.yaml").write_text(CONFIG.replace("    parameters: {number: 7}\n", ""))
    subprocess.run([sys.executable, "train.py"], check=True, capture_output=True)
    result = zenml_run("train.py", "-c", "config.yaml")
    assert "Using cached version of `loader`." in result.stdout
    assert "Using cached version of `doubler`." in result.stdout


def test_a_file_of_one_pipeline_needs_no_configuration(quiet: Zenml) -> None:
    Path("code").mkdir()
    Path("code/helping.py").write_text("def one() -> int:\n    return 1\n")
    text = "from helping import one\n\n" + DIRECT.replace("return 1", "return one()").replace(
        "x / 0", "x / 2"
    )
    Path("code/direct.py").write_text(text)
    process = subprocess.run(
        [*PROGRAM, "pipeline", "run", "code/direct.py"], capture_output=True, text=True, check=True
    )
    assert "loading\n" in process.stdout
    assert "0.5\n" in process.stdout


PICKLING = """\
from zenml.pipelines import pipeline
from zenml.steps import step


class Odd:
    pass


@step
def make() -> Odd:
    return Odd()


@pipeline
def odd():
    make()
"""


def test_a_warning_is_a_message(quiet: Zenml) -> None:
    Path("pickling.py").write_text(PICKLING)
    process = subprocess.run(
        [*PROGRAM, "pipeline", "run", "pickling.py"], capture_output=True, text=True, check=True
    )
    assert process.stderr.startswith("A value of type pickling.Odd is stored as a pickle")
    assert len(process.stderr.splitlines()) == 1


def test_on_a_terminal(quiet: Zenml) -> None:
    Path("direct.py").write_text(DIRECT.replace("x / 0", "x / 2"))
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "pipeline", "run", "direct.py"], stdin=inner, stdout=inner, stderr=inner
    )
    os.close(inner)
    shown = b""
    with suppress(OSError):  # the end of a terminal
        while data := os.read(terminal, 10_000):
            shown += data
    os.close(terminal)
    assert process.wait(30) == 0
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).rsplit("┏", 1)[1]
    assert [
        re.sub(r"\d+\.\d+s", "TIME", row).split() for row in last.splitlines() if row.startswith("┃")
    ] == [
        ["┃", "STEP", "│", "STATE", "│", "TIME", "│", "NOTE", "┃"],
        ["┃", "load", "│", "completed", "│", "TIME", "│", "┃"],
        ["┃", "divide", "│", "completed", "│", "TIME", "│", "┃"],
        ["┃", "show", "│", "completed", "│", "TIME", "│", "┃"],
    ]
    assert b"loading" in shown


def test_a_failing_step(zenml_run: Zenml, quiet: Zenml) -> None:
    Path("direct.py").write_text(DIRECT)
    result = zenml_run("direct.py")
    assert result.exit_code == 1
    run = result.stdout.rsplit("Pipeline run `", 1)[1].split("`")[0]
    shown = result.stderr.split("Traceback", 1)[1]
    shown = "".join(line for line in shown.splitlines(keepends=True) if set(line.strip()) - set("~^"))
    assert shown == (
        f' (most recent call last):\n  File "{Path.cwd()}/direct.py", line 13, in divide\n    return x / 0\n'
        f"ZeroDivisionError: division by zero\nIn the step 'divide' of the run '{run}'.\n"
    )
    assert "Step `show` is skipped: it needs the step 'divide'" in result.stderr

    described = json.loads(quiet("pipeline", "runs", "describe", run, "-o", "json").stdout)
    assert [step["status"] for step in described["steps"]] == ["completed", "failed", "skipped"]
    assert described["status"] == "failed"
    assert described["steps"][1]["error"] == "ZeroDivisionError: division by zero"
    table = quiet("pipeline", "runs", "describe", run).stdout
    assert f"Run '{run}' of the pipeline 'dividing' on the stack 'default': failed" in table


def test_a_file_that_does_not_import(zenml_run: Zenml) -> None:
    Path("broken.py").write_text("import nothing_of_that_name\n")
    result = zenml_run("broken.py")
    assert result.exit_code == 1
    assert result.stderr == (
        f'Traceback (most recent call last):\n  File "{Path.cwd()}/broken.py", line 1, in <module>\n'
        "    import nothing_of_that_name\nModuleNotFoundError: No module named 'nothing_of_that_name'\n"
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("name: trainig", "There is no pipeline 'trainig' in '{cwd}/train.py'. Did you mean 'training'?"),
        (
            "steps: {loader: {source: {name: lod}}}",
            "the step 'loader': there is no 'lod' in the module 'train'. Did you mean 'load'?",
        ),
        ("steps: {loader: {source: {name: Config}}}", "the step 'loader': 'Config' is no step"),
        ("steps: {loader: {source: {file: x.py}}}", "the step 'loader' has a source with no 'name'"),
        (
            "steps: {loader: {source: {name: a, fil: x.py}}}",
            "the step 'loader' has a source with the unknown key 'fil'",
        ),
        (
            "steps: {loader: {source: {name: a, file: x.py}}}",
            "the step 'loader': the file '{cwd}/x.py' does not exist.",
        ),
        ("steps: {loader: {source: {name: load}}}", "The pipeline 'training' is not given 'doubler'"),
        ("nme: training", "the file has the unknown key 'nme'. Did you mean 'name'?"),
        ("steps: [", "config.yaml, line 2: this is no valid YAML"),
        (
            CONFIG.replace("number", "numbr"),
            "the step 'loader' has no parameter 'numbr'. Did you mean 'number'?",
        ),
        (CONFIG.replace("7", "seven"), "number"),
    ],
)
def test_configurations_that_do_not_fit(zenml_run: Zenml, config: str, message: str) -> None:
    Path("train.py").write_text(CODE)
    Path("config.yaml").write_text(config)
    result = zenml_run("train.py", "-c", "config.yaml")
    assert result.exit_code == 1
    assert message.replace("{cwd}", str(Path.cwd())) in result.stderr
    assert "Traceback" not in result.stderr
    assert Repository().get_pipelines() == []


def test_files_that_hold_no_single_pipeline(zenml_run: Zenml) -> None:
    Path("none.py").write_text("x = 1\n")
    assert "There is no pipeline in" in zenml_run("none.py").stderr
    Path("several.py").write_text(f"{DIRECT}\n@pipeline\ndef loading():\n    load()\n")
    assert "several.py': 'dividing', 'loading'. Name one with --name." in zenml_run("several.py").stderr
    assert zenml_run("several.py", "--name", "loading").exit_code == 0
    Path("json.py").write_text(DIRECT)
    assert (
        "'json' is a module of Python, or of a library, already. Rename the file."
        in zenml_run("json.py").stderr
    )
    Path("text.txt").write_text(DIRECT)
    assert "is no Python file: expected a name that ends in .py." in zenml_run("text.txt").stderr
    assert zenml_run("gone.py").exit_code == 2


def test_lists(zenml_run: Zenml, quiet: Zenml) -> None:
    nothing = "No pipelines have run on the active stack.\n"
    assert quiet("pipeline", "list").stdout.endswith(nothing)
    assert quiet("pipeline", "runs", "list").stdout.endswith(nothing)
    Path("train.py").write_text(CODE)
    Path("config.yaml").write_text(CONFIG)
    for _ in range(3):
        assert zenml_run("train.py", "-c", "config.yaml").exit_code == 0

    (listed,) = json.loads(quiet("pipeline", "list", "-o", "json").stdout)
    runs = yaml.safe_load(quiet("pipeline", "runs", "list", "-o", "yaml").stdout)
    assert (listed["name"], listed["runs"], listed["last_run"]) == ("training", 3, runs[0]["name"])
    assert [run["name"] for run in runs] == sorted((run["name"] for run in runs), reverse=True)
    assert (
        len(json.loads(quiet("pipeline", "runs", "list", "-n", "2", "-p", "training", "-o", "json").stdout))
        == 2
    )
    header = quiet("pipeline", "runs", "list").stdout.splitlines()[3]
    assert re.sub(" +", " ", header) == "┃ PIPELINE │ RUN │ STATUS │ STARTED │ SECONDS ┃"

    unknown = quiet("pipeline", "runs", "list", "-p", "trainin")
    assert unknown.exit_code == 1
    assert (
        "The pipeline 'trainin' has no runs on the active stack. Did you mean 'training'?" in unknown.stderr
    )
    unknown = quiet("pipeline", "runs", "describe", "nope")
    assert unknown.exit_code == 1
    assert "There is no run 'nope' on the active stack." in unknown.stderr


class Spec:
    def __init__(self, name: str) -> None:
        self.name = name


class Plan:
    run_name = "training-1"
    steps = tuple(map(Spec, ("load", "train", "evaluate")))


def test_the_live_display() -> None:
    clock = iter(range(100))
    console = Console(width=70, force_terminal=True, no_color=True, record=True)
    with LiveObserver(console, clock=lambda: float(next(clock))) as observer:
        observer.run_started(Plan())  # type: ignore[arg-type]  # what it looks at
        observer.step_cached("load")
        observer.step_started("train")
        observer.step_finished("train", ExecutionStatus.FAILED, 75.0, ErrorRecord("ValueError", "no [data]"))
        observer.step_skipped("evaluate", "it needs the step 'train'")
        observer.run_finished(ExecutionStatus.FAILED, 80.0)
    shown = console.export_text().splitlines()[-8:]
    assert shown == [
        "training-1: failed in 1m20s",
        "┏━━━━━━━━━━┯━━━━━━━━━┯━━━━━━━┯━━━━━━━━━━━━━━━━━━━━━━━━━━━┓",
        "┃ STEP     │ STATE   │  TIME │ NOTE                      ┃",
        "┠──────────┼─────────┼───────┼───────────────────────────┨",
        "┃ load     │ cached  │       │                           ┃",
        "┃ train    │ failed  │ 1m15s │ ValueError: no [data]     ┃",
        "┃ evaluate │ skipped │       │ it needs the step 'train' ┃",
        "┗━━━━━━━━━━┷━━━━━━━━━┷━━━━━━━┷━━━━━━━━━━━━━━━━━━━━━━━━━━━┛",
    ]
