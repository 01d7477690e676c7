"""What a step needs while it runs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from zenml.exceptions import StepInterfaceError
from zenml.model.deployment import ResourceSpec

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGTP]?)(i?)[bB]?\s*")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


@dataclass(frozen=True)
class Resources:
    """What a step needs while it runs: `@step(resources=Resources(cpu=2, memory="4GB"))`.

    Args:
        cpu: cores; a fraction shares one.
        memory: bytes, or text: "4GB" is 4·10⁹ bytes, "4GiB" or "4Gi" 4·2³⁰.
        gpu: devices.
        custom: tokens of kinds of your own, which the orchestrator is given a number of: `{"license": 1}`.

    Raises:
        StepInterfaceError: a number is negative, or `memory` is no size.
    """

    cpu: float | None = None
    memory: int | str | None = None
    gpu: int = 0
    custom: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        numbers: dict[str, object] = {"cpu": self.cpu or 0, "gpu": self.gpu, **self.custom}
        for name, value in numbers.items():
            whole = name != "gpu" or isinstance(value, int)
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 <= value < math.inf
                or not whole
            ):
                kind = "a whole number" if name == "gpu" else "a number"
                raise StepInterfaceError(f"{name!r} of Resources is {value!r}, expected {kind}, 0 or more.")
        size_in_bytes(self.memory)

    def spec(self) -> ResourceSpec:
        """The same as plain data, with the memory in bytes."""
        return ResourceSpec(self.cpu, size_in_bytes(self.memory), self.gpu, dict(self.custom))


def size_in_bytes(size: int | str | None) -> int | None:
    """The bytes that "4GB", "512 MiB", "2Gi" or a number stand for. Raises StepInterfaceError."""
    if size is None or (isinstance(size, int) and not isinstance(size, bool) and size >= 0):
        return size
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if match is None:
        raise StepInterfaceError(
            f"'memory' of Resources is {size!r}, expected a number of bytes, or text like '4GB' or '512MiB'."
        )
    number, prefix, binary = match.groups()
    unit: int = (1024 if binary else 1000) ** _POWERS[prefix.lower()]
    return round(float(number) * unit)
