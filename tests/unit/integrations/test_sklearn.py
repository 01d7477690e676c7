"""What the scikit-learn integration gives to users."""

import builtins
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from zenml.artifact_stores import LocalArtifactStore
from zenml.exceptions import (
    ArtifactError,
    MissingPackageError,
    PickleWarning,
    StepInterfaceError,
)
from zenml.integrations import INTEGRATIONS
from zenml.integrations.sklearn.helpers.digits import get_digits, get_digits_model
from zenml.integrations.sklearn.materializers import SklearnMaterializer
from zenml.integrations.sklearn.steps import (
    SklearnEvaluator,
    SklearnEvaluatorConfig,
    SklearnSplitter,
    SklearnSplitterConfig,
    SklearnStandardScaler,
    SklearnStandardScalerConfig,
)
from zenml.materializers.classes import class_at
from zenml.materializers.values import read_value, write_value


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(name="store", path=tmp_path / "store")


@pytest.fixture
def table():
    return pd.DataFrame(
        {"a": range(100), "b": np.linspace(0, 1, 100), "text": ["x"] * 100, "label": [0, 1] * 50}
    )


@pytest.mark.parametrize(
    ("ratios", "sizes"),
    [
        ({"train": 0.7, "test": 0.2, "validation": 0.1}, (70, 20, 10)),
        ({"train": 0.1, "test": 0.2, "validation": 0.7}, (10, 20, 70)),
        ({"train": 0.75, "test": 0.25}, (75, 25, 0)),
        ({"train": 1 / 3, "test": 1 / 3, "validation": 1 / 3}, (33, 34, 33)),
    ],
)
def test_splitting_gives_each_row_to_one_part(table, ratios, sizes):
    config = SklearnSplitterConfig(ratios=ratios)

    parts = SklearnSplitter().entrypoint(table, config)

    assert tuple(len(part) for part in parts) == sizes
    assert sorted(index for part in parts for index in part.index) == list(range(100))
    again = SklearnSplitter().entrypoint(table, config)
    for part, same in zip(parts, again, strict=True):
        pd.testing.assert_frame_equal(part, same)


@pytest.mark.parametrize(
    ("ratios", "reason"),
    [
        ({"train": 0.7, "test": 0.2}, "must add up to 1, these make 0.9"),
        ({"train": 0.7, "tset": 0.3}, "there is no tset"),
        ({"train": 1.5, "test": -0.5}, "ratio of test is -0.5"),
    ],
)
def test_ratios_that_cannot_be_are_refused(ratios, reason):
    with pytest.raises(ValueError, match=reason):
        SklearnSplitterConfig(ratios=ratios)


def test_scaling_follows_the_rows_to_train_with(table):
    train, test, validation = table.iloc[:50], table.iloc[50:90], table.iloc[90:90]
    config = SklearnStandardScalerConfig(ignore_columns=["label"], exclude_columns=["b"])

    scaled = SklearnStandardScaler().entrypoint(train, test, validation, config)

    assert [list(part.columns) for part in scaled] == [["a", "text", "label"]] * 3
    assert scaled[0]["a"].mean() == pytest.approx(0)
    assert scaled[0]["a"].std(ddof=0) == pytest.approx(1)
    assert scaled[1]["a"].min() > scaled[0]["a"].max()
    assert list(scaled[1]["label"]) == list(test["label"])
    assert list(scaled[1].index) == list(test.index)
    assert len(scaled[2]) == 0
    assert list(train["a"]) == list(range(50))


def test_scaling_names_a_column_that_is_not_there(table):
    config = SklearnStandardScalerConfig(ignore_columns=["lable"])

    with pytest.raises(StepInterfaceError, match="no column 'lable'.*Did you mean 'label'"):
        SklearnStandardScaler().entrypoint(table, table, table, config)


def test_evaluating_reports_each_class(table):
    numbers = table[["a", "label"]]
    model = LogisticRegression().fit(numbers[["a"]], numbers["label"])

    report = SklearnEvaluator().entrypoint(numbers, model, SklearnEvaluatorConfig(label_class_column="label"))

    assert set(report) == {"0", "1", "accuracy", "macro avg", "weighted avg"}
    with pytest.raises(StepInterfaceError, match="no column 'labels'.*Did you mean 'label'"):
        SklearnEvaluator().entrypoint(numbers, model, SklearnEvaluatorConfig(label_class_column="labels"))


def test_the_digits_can_be_learned():
    x_train, x_test, y_train, y_test = get_digits()
    model = get_digits_model()

    assert isinstance(model, SVC)
    assert x_train.shape == (1437, 64)
    assert model.fit(x_train, y_train).score(x_test, y_test) > 0.9


# The materializer


def fitted():
    return LogisticRegression().fit([[0], [1]], [0, 1])


def test_an_estimator_is_no_pickle(store):
    record = write_value("model", fitted(), f"{store.path}/model", store)

    assert [entry.path for entry in record.manifest] == ["model.skops", "types.json"]
    assert record.artifact_type == "zenml.artifacts.artifact.ModelArtifact"
    assert class_at(record.materializer) is SklearnMaterializer


def test_what_skops_cannot_hold_is_pickled_with_a_warning(store):
    model = make_pipeline(FunctionTransformer(lambda x: x), LogisticRegression()).fit([[0], [1]], [0, 1])

    with pytest.warns(PickleWarning, match="Pipeline is stored as a pickle, for skops cannot hold it"):
        record = write_value("model", model, f"{store.path}/model", store)

    assert [entry.path for entry in record.manifest] == ["model.cloudpickle"]
    assert list(read_value(record, store).predict([[0]])) == [0]


def test_types_that_the_writer_did_not_name_are_refused(store, monkeypatch):
    record = write_value("model", fitted(), f"{store.path}/model", store)
    monkeypatch.setattr("skops.io.get_untrusted_types", lambda data: ["os.system"])

    with pytest.raises(ArtifactError, match="not known to be safe with the installed skops: os.system"):
        read_value(record, store)


def test_without_skops_an_estimator_is_pickled_and_a_kept_one_names_the_package(store, monkeypatch):
    kept = write_value("kept", fitted(), f"{store.path}/kept", store)
    import_ = builtins.__import__

    def without_skops(name, *rest):
        if name.startswith("skops"):
            raise ImportError(name)
        return import_(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_skops)

    with pytest.warns(PickleWarning):
        record = write_value("model", fitted(), f"{store.path}/model", store)
    assert list(read_value(record, store).predict([[0]])) == [0]
    with pytest.raises(MissingPackageError, match="pip install 'skops>=0.11'"):
        read_value(kept, store)


def test_the_archive_holds_nothing_that_is_chance(store):
    record = write_value("model", fitted(), f"{store.path}/model", store)

    with zipfile.ZipFile(f"{record.uri}/model.skops") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == [f"{n}.npy" for n in range(1, len(archive.namelist()))] + ["schema.json"]
        assert json.loads(archive.read("schema.json"))["__class__"] == "LogisticRegression"


# The manifests


def test_the_table_of_integrations_imports_none_and_names_what_exists():
    code = "import sys, zenml.integrations; print(sorted({'sklearn', 'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "['pydantic']\n"
    )

    for integration in INTEGRATIONS:
        for type_, materializer in integration.materializers.items():
            assert class_at(type_) in class_at(materializer).ASSOCIATED_TYPES
        # Spark is large, and for the tests of engines alone.
        assert integration.is_installed or integration.name == "spark"
