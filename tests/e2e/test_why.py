"""Why steps ran: each reason in the words that people read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import pytest

from zenml.exceptions import DoesNotExistException
from zenml.pipelines import pipeline
from zenml.post_execution import why
from zenml.post_execution.why import why_all
from zenml.repository import Repository
from zenml.steps import Cache, step

FEATURES = """
    LEAST = 0

    def clean(x):
        return max(x, LEAST)
"""
TRAINING = """
    import features
    from zenml.pipelines import pipeline
    from zenml.steps import step

    @step
    def load(n: int = 2) -> int:
        return n

    @step
    def train(data: int, lr: float = 0.1) -> float:
        return features.clean(data) * lr

    @step
    def report(result: float) -> None:
        print(result)

    @pipeline
    def training():
        report(train(load()))
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("features.py", FEATURES)
        self.write("training.py", TRAINING)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(textwrap.dedent(text))

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def zenml(self, *arguments: str) -> str:
        code = "from zenml.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-B", "-c", code, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env=os.environ,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self) -> str:
        self.zenml("pipeline", "run", "training.py")
        return Repository().get_pipeline("training").runs[-1].name

    def why(self, *arguments: str) -> str:
        lines = self.zenml("pipeline", "why", *arguments).splitlines()
        return "\n".join(line for line in lines if not line.startswith("Running with"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "training"
    folder.mkdir()
    return Project(folder)


def test_each_change_is_told_in_words(project: Project) -> None:
    first = project.run()
    assert project.why(first) == textwrap.dedent("""\
        load (completed): first run of this step
        train (completed): first run of this step
        report (completed): first run of this step""")

    second = project.run()
    date = r" of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    assert re.fullmatch(
        f"load \\(cached\\): as in the run '{first}'{date}\n"
        f"train \\(cached\\): as in the run '{first}'{date}\n"
        f"report \\(cached\\): as in the run '{first}'{date}",
        project.why(second),
    )

    project.edit("training.py", "lr: float = 0.1", "lr: float = 0.2")
    project.edit("features.py", "max(x, LEAST)", "max(LEAST, x)")
    assert project.why(project.run(), "train") == textwrap.dedent("""\
        train (completed): parameter lr: 0.1 → 0.2
          code of the step changed
          helper features.clean changed""")

    project.edit("features.py", "LEAST = 0", "LEAST = 1")
    assert project.why(project.run(), "train") == "train (completed): constant features.LEAST changed"

    project.edit("training.py", "n: int = 2", "n: int = 3")
    assert project.why(project.run(), "report") == (
        "report (completed): input result changed (made by train, which ran because input data changed (made by load))"
    )


def test_a_program_reads_json(project: Project) -> None:
    run = project.run()
    assert '"reasons": [\n      "first run of this step"\n    ]' in project.zenml(
        "pipeline", "why", run, "load", "-o", "json"
    )


@step
def number(value: int = 1) -> int:
    return value


@step
def doubled(value: int) -> int:
    return 2 * value


def only(run, name):
    return why.why(run, name).reasons


def test_what_the_key_does_not_tell():
    old = step(cache=Cache(expires=timedelta(microseconds=1)))(number.entrypoint)
    never = step(enable_cache=False)(doubled.entrypoint)

    @pipeline
    def small():
        number()
        old(value=5)
        never(number())

    small().run()
    run = small().run()
    shutil.rmtree(Path(run.get_step("number").output.uri))
    run = small().run()

    assert only(run, "number")[0].startswith(
        "artifact 'output' is gone: its file 'data.json' is missing below "
    )
    assert only(run, "number_2") == ("the result is older than 1e-06 seconds",)
    assert only(run, "doubled") == ("caching is off for this step",)


def test_a_step_that_failed_is_tried_again():
    failing = [True]

    @step
    def shaky() -> int:
        if failing[0]:
            raise OSError("no luck")
        return 1

    @pipeline
    def small():
        doubled(shaky())

    with pytest.raises(OSError, match="no luck"):
        small().run()
    first = Repository().get_pipeline("small").runs[-1]
    assert only(first, "doubled") == ("it needs the step 'shaky', which has failed",)


def test_instances_of_a_mapped_step_are_explained_by_themselves():
    def mapped(values):
        @pipeline
        def spreading():
            doubled.map(value=values)

        return spreading().run()

    mapped([1, 2, 3])
    run = mapped([1, 5, 3])

    assert only(run, "doubled") == (
        "2 of 3 instances cached, 1 of 3 instances completed",
        "parameter value: 2 → 5",
    )
    assert only(run, "doubled[1]") == ("parameter value: 2 → 5",)
    assert only(run, "doubled[0]")[0].startswith("as in the run '")
    with pytest.raises(DoesNotExistException, match=r"has 3 instances, from \[0\] on"):
        why.why(run, "doubled[3]")
    with pytest.raises(DoesNotExistException, match="has no step 'trebled'"):
        why.why(run, "trebled")


def test_a_step_that_does_the_same_twice_says_so():
    @pipeline
    def small():
        number()
        number()

    assert [one.reasons for one in why_all(small().run())] == [
        ("first run of this step",),
        ("as the step 'number' of this run",),
    ]
