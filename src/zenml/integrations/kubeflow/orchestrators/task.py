"""What a package of Kubeflow Pipelines is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """A process of the run: what follows "python", and the names of those before it. Resources are written as Kubernetes does."""

    name: str
    arguments: Sequence[str]
    upstream: Sequence[str] = ()
    cpu: str | None = None
    memory: str | None = None
    gpu: int = 0
