"""A pipeline as data, and made again from it."""

import textwrap
from importlib import import_module
from pathlib import Path

import pytest

from zenml.exceptions import PipelineConfigurationError
from zenml.pipelines import pipeline
from zenml.pipelines.origin import load_pipeline, origin_of
from zenml.steps import step


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    (root / "learning.py").write_text(
        textwrap.dedent("""
        from zenml.pipelines import pipeline
        from zenml.steps import BaseStepConfig, step

        class Config(BaseStepConfig):
            depth: int = 1

        @step
        def train(config: Config, rate: float = 0.1) -> float:
            return config.depth * rate

        @pipeline
        def learning(trainer, times: int = 1):
            for _ in range(times):
                trainer()

        if True:
            learning(trainer=train()).run()  # as an unguarded program
        """)
    )
    monkeypatch.syspath_prepend(root)
    monkeypatch.setenv("ZENML_PREVENT_PIPELINE_EXECUTION", "true")
    return root


def test_a_pipeline_is_made_again_with_what_it_was_made_with(project: Path) -> None:
    learning = import_module("learning")
    made = learning.learning(trainer=learning.train(learning.Config(depth=3), rate=0.5), times=2)
    config = project / "config.yaml"
    config.write_text("steps: {trainer: {parameters: {rate: 0.7}}}")
    made.with_config(config, overwrite_step_parameters=True)

    source, arguments = origin_of(made, project)
    assert source == "learning:learning"
    again = load_pipeline(source, arguments, project)
    assert [(i.name, i.parameters, i.step.parameters) for i in again.compose()] == [
        (i.name, i.parameters, i.step.parameters) for i in made.compose()
    ]
    assert origin_of(again, project) == (source, arguments)


def test_what_cannot_be_made_again_has_no_source(project: Path) -> None:
    @step
    def inner() -> int:
        return 1

    @pipeline
    def local() -> None:
        inner()

    assert origin_of(local(), None) == ("", {})
    learning = import_module("learning")
    assert origin_of(learning.learning(trainer=learning.train(), times=object()), project) == ("", {})
    with pytest.raises(
        PipelineConfigurationError, match="cannot be imported again: it was defined in a notebook"
    ):
        load_pipeline("", {}, project)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing:learning", "'nothing:learning' cannot be imported from"),
        ("learning:leaning", "has no attribute 'leaning'"),
        ("learning:train", "is no pipeline any more"),
    ],
)
def test_what_is_not_there_any_more(project: Path, source: str, message: str) -> None:
    with pytest.raises(PipelineConfigurationError, match=message):
        load_pipeline(source, {}, project)
