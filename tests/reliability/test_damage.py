"""Files that change behind the framework's back."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.reliability.amount import FULL
from zenml.exceptions import ArtifactCorruptedError
from zenml.model.runs import LOG_FILE
from zenml.pipelines import pipeline
from zenml.stack import Stack
from zenml.steps import Output, step

BITS = 200 if FULL else 8  # of each file


@dataclass
class Note:
    title: str
    numbers: list[int]


@step
def small() -> Output(number=int, text=str, truth=bool, nothing=type(None), share=float):
    return 7, "grüße", True, None, 0.1


@step
def large() -> Output(data=bytes, array=np.ndarray, frame=pd.DataFrame):
    return bytes(range(256)) * 2000, np.arange(50_000), pd.DataFrame({"a": range(1000), "b": "x"})


@step
def nested() -> Output(mapping=dict, note=Note, several=list):
    return {"a": [1, (2, {3})]}, Note("one", [1, 2]), [np.ones(3), b"x" * 100_000]


@step
def take(data: bytes, array: np.ndarray, frame: pd.DataFrame) -> int:
    return len(data) + len(array) + len(frame)


@pipeline
def writing():
    small()
    nested()
    take(*large())


def artifacts(run: Any) -> list[Any]:
    return [artifact for step in run.steps for artifact in step.outputs.values()]


def files_of(artifact: Any) -> list[Path]:
    return sorted(path for path in Path(artifact.uri).rglob("*") if path.is_file())


def test_a_bit_that_is_flipped_in_any_file_is_found_when_it_is_read(zenml_stack: Stack) -> None:
    run = writing().run()
    chance = random.Random(1)  # noqa: S311 - it is to be repeatable
    for artifact in artifacts(run):
        for path in files_of(artifact):
            content = path.read_bytes()
            for bit in chance.sample(range(8 * len(content)), min(BITS, 8 * len(content))):
                changed = bytearray(content)
                changed[bit // 8] ^= 1 << bit % 8
                path.write_bytes(changed)
                with pytest.raises(
                    ArtifactCorruptedError, match=rf"'{artifact.name}' is corrupted"
                ) as caught:
                    artifact.read()
                assert path.name in str(caught.value)
            path.write_bytes(content)
        artifact.read()


def test_every_file_of_a_run_is_part_of_a_value_that_is_verified(zenml_stack: Stack) -> None:
    run = writing().run()
    verified = {path for artifact in artifacts(run) for path in files_of(artifact)}
    written = {
        path
        for path in Path(zenml_stack.artifact_store.path, "runs").rglob("*")
        if path.is_file() and path.name != LOG_FILE
    }
    assert written == verified
    assert len(written) >= 11
