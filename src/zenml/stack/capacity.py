"""What a machine, or a part of it, has for steps: cores, memory, devices, tokens."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.exceptions import StackValidationError

if TYPE_CHECKING:
    from zenml.model.deployment import ResourceSpec

_ROUNDING = 1e-9
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Capacity:
    """What there is: cores, bytes, the names of devices as CUDA_VISIBLE_DEVICES takes them, and tokens by kind."""

    cpus: float
    memory: int
    devices: tuple[str, ...] = ()
    tokens: Mapping[str, float] = field(default_factory=dict)

    def lacks(self, needs: Sequence[ResourceSpec]) -> list[str]:
        """What is too little for all of these at once, as texts: "gpu: 2, of 1"."""
        asked: dict[str, list[float]] = {}
        for need in needs:
            amounts = {"cpu": need.cpu or 0, "memory": need.memory or 0, "gpu": need.gpu, **need.custom}
            for name, amount in amounts.items():
                asked.setdefault(name, []).append(amount)
        there = {**self.tokens, "cpu": self.cpus, "memory": self.memory, "gpu": len(self.devices)}
        return [
            f"{name}: {_shown(name, fsum(amounts))}, of {_shown(name, there.get(name, 0))}"
            for name, amounts in asked.items()
            if fsum(amounts) > there.get(name, 0) + _ROUNDING
        ]


def refuse_unmet(
    needs: Mapping[str, ResourceSpec], places: Sequence[Capacity], *, lacking: str, remedy: str
) -> None:
    """See that one of the places has what each step needs, by the steps' names.

    Raises:
        StackValidationError: none has; `lacking` says so of the places, "No node has what these steps need", and `remedy` what to do.
    """
    most = Capacity(
        cpus=max((place.cpus for place in places), default=0),
        memory=max((place.memory for place in places), default=0),
        devices=max((place.devices for place in places), key=len, default=()),
        tokens={n: max(p.tokens.get(n, 0) for p in places) for place in places for n in place.tokens},
    )
    if reasons := [
        f"  the step '{name}' needs {one}"
        for name, need in needs.items()
        for one in most.lacks([need]) or min((place.lacks([need]) for place in places), key=len, default=[])
    ]:
        raise StackValidationError("\n".join([f"{lacking}:", *reasons, remedy]))


class Reservations:
    """What of a capacity is taken, by whom."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._taken: dict[Hashable, tuple[ResourceSpec, tuple[str, ...]]] = {}

    def has_room(self, need: ResourceSpec | None) -> bool:
        """Whether that can be taken as well. What needs nothing always can."""
        return need is None or not self._capacity.lacks([*(taken for taken, _ in self._taken.values()), need])

    def take(self, key: Hashable, need: ResourceSpec | None) -> tuple[str, ...]:
        """Take it, under a key; gives the devices that nobody else has meanwhile."""
        if need is None:
            return ()
        used = {device for _, devices in self._taken.values() for device in devices}
        devices = tuple(device for device in self._capacity.devices if device not in used)[: need.gpu]
        self._taken[key] = need, devices
        return devices

    def release(self, key: Hashable) -> None:
        """Give it back."""
        self._taken.pop(key, None)


def here() -> Capacity:
    """What this process may use."""
    return Capacity(cores(), memory(), devices())


def cores() -> float:
    """The cores that this process may use: those it is bound to, or what its control group is granted."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = (limit.split() for limit in _limits("cpu.max"))
    return min([float(bound), *(int(quota) / int(period) for quota, period in granted if quota != "max")])


def memory() -> int:
    """The bytes that this process may use: those of the machine, or the limit of its control group."""
    import psutil

    return min(
        [psutil.virtual_memory().total, *(int(limit) for limit in _limits("memory.max") if limit != "max")]
    )


def devices() -> tuple[str, ...]:
    """The devices that this process may use: what CUDA_VISIBLE_DEVICES says, else all that `nvidia-smi` lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = (name.strip() for name in visible.split(","))
        return tuple(name for name in names if name not in ("", "-1", "NoDevFiles"))
    if shutil.which("nvidia-smi") is None:
        return ()
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):  # a driver without devices
        return ()
    return tuple(
        str(number) for number, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")
    )


def _limits(name: str) -> list[str]:
    """The limits of that name for this process's control group and those that it lies in (version 2 of control groups)."""
    try:
        own = _OWN_CGROUP.read_text(encoding="utf-8").rpartition("0::/")[2].strip()
    except OSError:
        return []
    folder = _CGROUPS / own
    files = (place / name for place in (folder, *folder.parents) if place.is_relative_to(_CGROUPS))
    return [file.read_text(encoding="utf-8").strip() for file in files if file.is_file()]


def _shown(name: str, amount: float) -> str:
    return f"{amount / 1e9:.4g} GB" if name == "memory" else f"{amount:g}"
