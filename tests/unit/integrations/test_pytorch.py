"""What the PyTorch integration does beyond what every materializer does."""

import json
from pathlib import Path

import pytest
import torch

from zenml.artifact_stores import LocalArtifactStore
from zenml.exceptions import MissingPackageError
from zenml.integrations.pytorch.materializers import tensors
from zenml.materializers.values import read_value, write_value


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(name="store", path=tmp_path / "store")


def tied():
    left, right = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3, bias=False)
    right.weight = left.weight
    return torch.nn.Sequential(left, right)


def test_tensors_are_no_pickles(store):
    record = write_value("tensor", torch.ones(3), f"{store.path}/tensor", store)

    assert [entry.path for entry in record.manifest] == ["tensors.json", "tensors.safetensors"]


def test_the_state_of_a_module_can_be_read_without_its_pickle(store):
    from safetensors.torch import load_file

    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    record = write_value("module", module, f"{store.path}/module", store)

    state = load_file(f"{record.uri}/tensors.safetensors")

    assert state.keys() == module.state_dict().keys()
    assert record.artifact_type == "zenml.artifacts.artifact.ModelArtifact"
    assert Path(record.uri, "module.cloudpickle").stat().st_size < 10_000


def test_tensors_that_are_one_stay_one(store):
    again = read_value(write_value("module", tied(), f"{store.path}/module", store), store)

    assert again[0].weight is again[1].weight


def test_a_module_of_a_class_that_cannot_be_imported_brings_it_along(store):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = torch.nn.Parameter(torch.tensor(2.0))

        def forward(self, x):
            return self.factor * x

    again = read_value(write_value("module", Own(), f"{store.path}/module", store), store)

    assert again(torch.tensor(3.0)).item() == 6


def test_a_device_that_is_not_there_is_replaced_by_the_cpu(store):
    record = write_value("tensor", torch.ones(3), f"{store.path}/tensor", store)
    notes = json.loads(Path(record.uri, "tensors.json").read_text())
    Path(record.uri, "tensors.json").write_text(json.dumps({"data": {**notes["data"], "device": "cuda:7"}}))

    assert tensors.read_tensors(record.uri)["data"].device.type == "cpu"


def test_without_safetensors_tensors_are_still_read_as_data_alone(store, monkeypatch):
    kept = write_value("kept", torch.ones(2), f"{store.path}/kept", store)
    monkeypatch.setattr(tensors, "find_spec", lambda name: None)

    record = write_value("tensor", torch.ones(3), f"{store.path}/tensor", store)

    assert [entry.path for entry in record.manifest] == ["tensors.json", "tensors.pt"]
    assert torch.equal(read_value(record, store), torch.ones(3))
    monkeypatch.setitem(__import__("sys").modules, "safetensors.torch", None)
    with pytest.raises(MissingPackageError, match="pip install 'safetensors>=0.4.5'"):
        read_value(kept, store)
