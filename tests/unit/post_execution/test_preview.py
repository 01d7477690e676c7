"""What notebooks show of values: small plain ones, and nothing that would run code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from zenml.artifact_stores import LocalArtifactStore
from zenml.exceptions import PickleWarning
from zenml.materializers.values import write_value
from zenml.model.runs import ArtifactRecord, FileEntry
from zenml.post_execution.preview import preview


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(name="artifacts", path=str(tmp_path / "store"))


def stored(value: Any, store: LocalArtifactStore) -> ArtifactRecord:
    return write_value("output", value, f"{store.path}/runs/{uuid4()}/output", store)


def texts(html: str) -> list[str]:
    return re.findall(r"<(?:td|th|pre|p)>([^<]*)<", html)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a <b>\ntext\x1b", ["a &lt;b&gt;\ntext\\x1b"]),
        ([1, {"a": None}], ["[1, {&quot;a&quot;: null}]"]),
        (0.5, ["0.5"]),
        (np.arange(3), ["int64 (3,)", "[0 1 2]"]),
        (pd.DataFrame({"a": [1], "b": ["<i>"]}), ["a", "b", "1", "&lt;i&gt;", "1 rows, 2 columns"]),
        (pd.DataFrame({"a": [1]}, index=["x"]), ["a", "1", "1 rows, 1 columns"]),
        (pd.DataFrame({("a", "b"): [1]}), ["column 0", "1", "1 rows, 1 columns"]),
        (pd.Series([7], name="sizes"), ["sizes", "7", "1 rows, 1 columns"]),
        (pl.DataFrame({"a": [1, 2]}), ["a", "1", "2", "2 rows, 1 columns"]),
        (pa.table({"a": ["x"]}), ["a", "x", "1 rows, 1 columns"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_small_values(store: LocalArtifactStore, value: Any, expected: list[str]) -> None:
    assert texts(preview(stored(value, store), store)) == expected


def test_the_first_rows_and_columns(store: LocalArtifactStore) -> None:
    frame = pd.DataFrame({f"c{i}": range(1000) for i in range(30)})
    shown = texts(preview(stored(frame, store), store))
    assert len(shown) == 20 + 10 * 20 + 1
    assert shown[-1] == "1000 rows, 30 columns"


def test_long_texts_are_cut(store: LocalArtifactStore) -> None:
    assert len(preview(stored("x" * 100_000, store), store)) < 3_000
    frame = pd.DataFrame({"a": ["y" * 1000]})
    assert len(preview(stored(frame, store), store)) < 500


@pytest.mark.parametrize("value", ["x" * 1_000_001, np.zeros(200_000), b"bytes", np.array([1, None])])
def test_large_values_and_others_are_not_read(store: LocalArtifactStore, value: Any) -> None:
    record = stored(value, store)
    assert preview(record, store) == ""


class Trap:
    """Leaves a trace when its pickle is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.filterwarnings(f"ignore::{PickleWarning.__module__}.{PickleWarning.__name__}")
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: pd.DataFrame({"a": [v]})])
def test_pickles_are_not_read(store: LocalArtifactStore, tmp_path: Path, wrap: Any) -> None:
    record = stored(wrap(Trap(tmp_path / "trace")), store)
    assert any("pickle" in entry.path for entry in record.manifest)
    preview(record, store)
    assert not (tmp_path / "trace").exists()


def test_what_is_altered_or_gone_is_not_shown(store: LocalArtifactStore) -> None:
    record = stored([1, 2, 3], store)
    file = Path(record.uri) / "data.json"
    file.write_text("[1,2,4]")
    assert preview(record, store) == ""
    file.unlink()
    assert preview(record, store) == ""


@pytest.mark.parametrize("name", ["data.json", "data.npy", "data.parquet", "data.arrow"])
def test_what_is_not_what_its_name_promises(store: LocalArtifactStore, name: str) -> None:
    record = stored(b"\x93NUMPY no such thing", store)
    (Path(record.uri) / "data.bin").rename(Path(record.uri) / name)
    (entry,) = record.manifest
    fields = {field: getattr(record, field) for field in record.__slots__}
    renamed = ArtifactRecord(**{**fields, "manifest": (FileEntry(name, entry.size, entry.sha256),)})
    assert preview(renamed, store) == ""
