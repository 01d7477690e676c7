"""What is decided about a step before it runs: whether an earlier result is taken, and why not. The driver and the plan ask the same."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from zenml.materializers.presence import Presence
from zenml.materializers.values import check_content, check_present

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment, StepSpec
    from zenml.model.runs import CachedResult, CacheKey
    from zenml.stack import Stack


OFF = "caching is off for this step"
"""The reason of a step that takes no earlier results."""


@dataclass(frozen=True, slots=True)
class Miss:
    """No earlier result is taken. `reason` says why in words, where the key alone does not tell."""

    reason: str | None = None


class Decisions:
    """Decides for one run.

    `known` are results, by the digest of their key, that the run takes from the run that it goes on from: they count whatever
    is said about caching and expiry.
    """

    def __init__(
        self, deployment: Deployment, stack: Stack, known: Mapping[str, CachedResult] | None = None
    ) -> None:
        self._deployment = deployment
        self._artifact_store = stack.artifact_store
        self._metadata_store = stack.metadata_store
        self._check = check_content if deployment.verify == "full" else check_present
        self._presence = Presence(stack.artifact_store)
        self._known = known or {}
        self._recent: Mapping[str, CachedResult] = {}

    def prefetch(self) -> None:
        """Ask once for what most steps will need."""
        if any(step.enable_cache for step in self._deployment.steps):
            self._recent = self._metadata_store.recent_results(
                self._deployment.pipeline, self._artifact_store.path
            )
        for results in (self._known, self._recent):
            self._presence.expect(artifact for result in results.values() for artifact in result.artifacts)

    def decide(self, spec: StepSpec, key: CacheKey) -> CachedResult | Miss:
        """The result to take for a step with this key, or why there is none."""
        reason: str | None = None
        known = self._known.get(key.digest)
        if known is not None:
            reason = self._unusable(known)
            if reason is None:
                return known
        if not spec.enable_cache:
            return Miss(reason or OFF)
        for result in self._candidates(key.digest):
            reason = self._expired(spec, result) or self._unusable(result)
            if reason is None:
                return result
        return Miss(reason)

    def _candidates(self, digest: str) -> Iterator[CachedResult]:
        recent = self._recent.get(digest)
        if recent is not None:
            yield recent
        # Of another pipeline, of an older run, or of another one since the run began.
        latest = self._metadata_store.find_results((digest,), self._artifact_store.path).get(digest)
        if latest is not None and (recent is None or latest.step_run_id != recent.step_run_id):
            yield latest

    def _unusable(self, result: CachedResult) -> str | None:
        for artifact in result.artifacts:
            if (problem := self._check(artifact, self._artifact_store, self._presence)) is not None:
                return problem
        return None

    @staticmethod
    def _expired(spec: StepSpec, result: CachedResult) -> str | None:
        if spec.expires_after is None or time.time() - result.ended <= spec.expires_after:
            return None
        return f"the result is older than {span(spec.expires_after)}"


def span(seconds: float) -> str:
    """A length of time in words: "7 days", "1 hour 30 minutes"."""
    rest = timedelta(seconds=seconds)
    words = []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(words) or f"{seconds:g} seconds"


_UNITS = {
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
    "second": timedelta(seconds=1),
}
