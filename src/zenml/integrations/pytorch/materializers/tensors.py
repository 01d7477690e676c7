"""Tensors in files, without pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import torch

from zenml.exceptions import MissingPackageError
from zenml.io import fileio

_SAFE = "tensors.safetensors"
_OTHER = "tensors.pt"
_NOTES = "tensors.json"


def write_tensors(uri: str, tensors: Mapping[str, Any]) -> None:
    """Write tensors below `uri`.

    Those that safetensors can hold lie in `tensors.safetensors`, the others (sparse, complex, quantized; all, where it is not
    installed) in `tensors.pt`, which is read as data alone; what else makes them up lies in `tensors.json`.
    """
    safe = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items() if _is_plain(tensor)}
    others = {name: tensor.detach() for name, tensor in tensors.items() if name not in safe}
    with fileio.open(f"{uri}/{_NOTES}", "w") as file:
        json.dump({name: _note(tensor) for name, tensor in tensors.items()}, file)
    if safe:
        import safetensors.torch

        # Each tensor gets memory of its own: safetensors refuses those that share some.
        content = safetensors.torch.save(
            {name: tensor.clone() for name, tensor in safe.items()} if len(safe) > 1 else safe
        )
        with fileio.open(f"{uri}/{_SAFE}", "wb") as file:
            file.write(content)
    if others:
        with fileio.open(f"{uri}/{_OTHER}", "wb") as file:
            torch.save(others, file)


def read_tensors(uri: str) -> dict[str, Any]:
    """The tensors that were written below `uri`."""
    with fileio.open(f"{uri}/{_NOTES}") as file:
        notes = json.load(file)
    tensors: dict[str, Any] = {}
    if fileio.exists(f"{uri}/{_SAFE}"):
        try:
            import safetensors.torch
        except ImportError as error:
            raise MissingPackageError(
                f"The tensors at {uri} are in the format of safetensors: install it with `pip install 'safetensors>=0.4.5'`."
            ) from error
        with fileio.open(f"{uri}/{_SAFE}", "rb") as file:
            tensors |= safetensors.torch.load(file.read())
    if fileio.exists(f"{uri}/{_OTHER}"):
        with fileio.open(f"{uri}/{_OTHER}", "rb") as file:
            tensors |= torch.load(file, weights_only=True, map_location="cpu")
    return {name: _restored(tensors[name], note) for name, note in notes.items()}


def _is_plain(tensor: Any) -> bool:
    return (
        find_spec("safetensors") is not None
        and tensor.layout == torch.strided
        and not tensor.is_quantized
        and not tensor.is_complex()
        and tensor.device.type != "meta"
    )


def _note(tensor: Any) -> dict[str, Any]:
    return {
        "device": str(tensor.device),
        "requires_grad": tensor.requires_grad,
        "parameter": isinstance(tensor, torch.nn.Parameter),
    }


def _restored(tensor: Any, note: dict[str, Any]) -> Any:
    if note["device"] != "cpu":
        with suppress(RuntimeError, AssertionError):  # the device is not there: the CPU always is
            tensor = tensor.to(note["device"])
    if note["parameter"]:
        return torch.nn.Parameter(tensor, requires_grad=note["requires_grad"])
    return tensor.requires_grad_(note["requires_grad"])
