"""What a metadata store is: it remembers what happened."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from zenml.enums import ExecutionStatus, StackComponentType
from zenml.stack import StackComponent

if TYPE_CHECKING:
    from zenml.model.housekeeping import (
        ArtifactUse,
        EndedRun,
        RecordedArtifact,
        Rows,
        RunHistory,
        UnpublishedAttempt,
    )
    from zenml.model.runs import (
        ArtifactRecord,
        AttemptRecord,
        CachedResult,
        CacheHit,
        CacheKey,
        Claim,
        ErrorRecord,
        InFlight,
        MetricRecord,
        Owner,
        PipelineRecord,
        RunDraft,
        RunRecord,
        RunRegistration,
        StepDraft,
        StepRunRecord,
    )
    from zenml.stack import Check


class BaseMetadataStore(StackComponent):
    """Remembers pipelines, runs, steps, attempts, artifacts and metrics.

    Every writing method is one transaction: all of it is recorded, or nothing. Any number of processes may use one store
    at the same time; methods may be called from any thread. A store that cannot be reached raises `StoreError`, which
    names it without its password. A run or step once finished never changes its status again.

    What is read is true: a run whose owner is dead (at once on the same host, elsewhere when its lease has run out) is settled before it
    is given: the run, its running steps and attempts are `crashed`, its pending steps `skipped`. An attempt whose own process is dead
    is left to the driver of its run, as long as that one lives.
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.METADATA_STORE

    def check(self) -> Iterator[Check]:
        """Read a run."""
        from zenml.stack.checks import tried

        yield from self._check_state()
        yield tried("reads", lambda: self.runs(limit=1))

    # Writing: by the engine, in the order in which things happen.

    @abstractmethod
    def register_run(self, run: RunDraft) -> RunRegistration:
        """Record a run, `running`, and its steps, `pending`. Raises DuplicateRunNameError."""

    @abstractmethod
    def start_attempt(
        self,
        step_run_id: int,
        *,
        key: CacheKey,
        inputs: Mapping[str, int],
        owner: Owner,
        lease_until: float,
        reason: str | None = None,
        shares: bool = False,
    ) -> Claim | InFlight:
        """Claim a step.

        A new attempt, `running`, whose token replaces the one before. `inputs` maps names to artifact ids, `reason` says why there was
        no cached result. With `shares`, nothing is recorded if a living run is executing a step with the same key already: that
        one is given back. Raises StaleAttemptError if the step has ended.
        """

    @abstractmethod
    def expand_step(
        self, claim: Claim, items: Sequence[ArtifactRecord], instances: Sequence[StepDraft]
    ) -> tuple[tuple[ArtifactRecord, ...], list[int]]:
        """Publish the items that a mapped step is spread over, and register its instances, `pending`.

        The attempt ends as `completed`; the step goes on as `running` until `end_mapped`, and its items can be found again by the
        attempt's key. Gives the items with their ids, and the ids of the instances. Raises StaleAttemptError.
        """

    @abstractmethod
    def expand_cached(self, hit: CacheHit, instances: Sequence[StepDraft]) -> list[int]:
        """The same for a mapped step whose items are those of an earlier one, `hit.source`; gives the ids of the instances."""

    @abstractmethod
    def end_mapped(self, step_run_id: int, status: ExecutionStatus, error: ErrorRecord | None = None) -> None:
        """End a mapped step, when its instances have ended; one that has ended stays as it is."""

    @abstractmethod
    def complete_attempt(
        self, claim: Claim, artifacts: Sequence[ArtifactRecord]
    ) -> tuple[ArtifactRecord, ...]:
        """Publish the outputs, in declared order, and end attempt and step as `completed`; gives the artifacts with their ids.

        Raises:
            StaleAttemptError: the claim is not the step's present one; nothing is recorded.
        """

    @abstractmethod
    def fail_attempt(
        self,
        claim: Claim,
        error: ErrorRecord,
        *,
        status: ExecutionStatus = ExecutionStatus.FAILED,
        final: bool = True,
    ) -> None:
        """End the attempt as `status`; the step as well if `final`, else it waits for the next attempt. Raises StaleAttemptError."""

    @abstractmethod
    def fail_step(
        self,
        step_run_id: int,
        error: ErrorRecord,
        *,
        status: ExecutionStatus = ExecutionStatus.FAILED,
        final: bool = True,
    ) -> None:
        """End a step as `status`, and the attempt that is under way, which can no longer publish.

        If not `final`, the step waits for the next attempt. One that has ended stays as it is.
        """

    @abstractmethod
    def record_hits(self, hits: Sequence[CacheHit]) -> None:
        """End these steps as `cached`; those that have ended stay as they are. A source that is a hit itself stands for its own source."""

    @abstractmethod
    def skip_steps(self, reasons: Mapping[int, str]) -> None:
        """End these steps as `skipped`, each with its reason; those that have ended stay as they are."""

    @abstractmethod
    def finish_run(self, run_id: int, status: ExecutionStatus, error: ErrorRecord | None = None) -> None:
        """End a run, and what of it is open: running steps as `crashed`, pending ones as `skipped`; one that has ended stays as it is.

        If that cannot be recorded, it is as soon as this process uses the store again.
        """

    @abstractmethod
    def renew_lease(self, run_id: int, lease_until: float) -> None:
        """The run's owner lives: nobody takes it for dead until then."""

    @abstractmethod
    def request_cancel(self, run_id: int) -> None:
        """Ask whoever executes the run to end it. A run that has ended stays as it is."""

    @abstractmethod
    def is_cancel_requested(self, run_id: int) -> bool:
        """Whether somebody asked for the end of this run. Cheap: it is asked about once a second."""

    @abstractmethod
    def log_metrics(self, step_run_id: int, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Record numbers of a step; `step` counts within the series (epoch, iteration)."""

    @abstractmethod
    def log_parameters(self, step_run_id: int, parameters: Mapping[str, str]) -> None:
        """Record parameters that a step reports by itself, as text; one logged again is replaced."""

    # Caching.

    @abstractmethod
    def recent_results(self, pipeline: str, store: str) -> Mapping[str, CachedResult]:
        """A head start for a run of the pipeline: the results of its last run that ended, and of its last completed one.

        By the digest of the cache key, and only those whose outputs lie in the artifact store with the root `store`. It takes
        few queries, however many steps there are.
        """

    @abstractmethod
    def find_results(self, digests: Collection[str], store: str) -> Mapping[str, CachedResult]:
        """The latest completed step run for each of these cache keys whose outputs lie in the artifact store with the root `store`."""

    @abstractmethod
    def results_of_run(self, run_id: int, store: str) -> Mapping[str, CachedResult]:
        """The results of a run's steps and instances, run or cached, by the digest of their key, as `recent_results` gives them."""

    @abstractmethod
    def forget_result(self, step_run_id: int) -> None:
        """Do not give the outputs of this step run as a result again: they cannot be read any more. What is recorded of it stays."""

    # Reading.

    @abstractmethod
    def pipelines(self) -> list[PipelineRecord]:
        """All pipelines, in the order of their first runs."""

    @abstractmethod
    def pipeline(self, name: str) -> PipelineRecord | None:
        """The pipeline of that name."""

    @abstractmethod
    def count_runs(self, pipeline_id: int | None = None) -> int:
        """Number of runs of a pipeline, or of all."""

    @abstractmethod
    def runs(
        self,
        pipeline_id: int | None = None,
        *,
        offset: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[RunRecord]:
        """Runs of a pipeline, or of all, by age. The cost of the first page does not depend on the number of runs."""

    @abstractmethod
    def run(self, run_id: int) -> RunRecord:
        """A run. Raises DoesNotExistException."""

    @abstractmethod
    def run_by_name(self, name: str) -> RunRecord | None:
        """The run of that name; names are unique in a store."""

    @abstractmethod
    def deployment(self, run_id: int) -> str:
        """The compiled pipeline of a run as JSON text."""

    @abstractmethod
    def steps(self, run_id: int) -> list[StepRunRecord]:
        """The steps of a run, in the order of the deployment, without the instances of mapped ones."""

    @abstractmethod
    def instances(self, run_id: int, name: str) -> list[StepRunRecord]:
        """The instances of a mapped step, by their index."""

    @abstractmethod
    def attempts(self, step_run_id: int) -> list[AttemptRecord]:
        """The attempts of a step run, by their number."""

    @abstractmethod
    def previous_step(self, step_run_id: int) -> StepRunRecord | None:
        """The same step (and instance) in the last earlier run of the pipeline in which it had a key."""

    @abstractmethod
    def durations(self, pipeline: str) -> Mapping[str, float]:
        """Seconds that each step of a pipeline took to its end, by name; of a mapped one, those of its instances together.

        Of the last run that ended, and of the last completed one; of a cached step, those of the one that really ran.
        """

    @abstractmethod
    def step(self, step_run_id: int) -> StepRunRecord:
        """A step of a run. Raises DoesNotExistException."""

    @abstractmethod
    def inputs(self, step_run_id: int) -> dict[str, ArtifactRecord]:
        """What a step read, by input name, in declared order."""

    @abstractmethod
    def outputs(self, step_run_id: int) -> dict[str, ArtifactRecord]:
        """What a step gave, by output name, in declared order; for a cached one, what its source gave."""

    @abstractmethod
    def artifact(self, artifact_id: int) -> ArtifactRecord:
        """An artifact. Raises DoesNotExistException."""

    @abstractmethod
    def metrics(self, step_run_id: int) -> list[MetricRecord]:
        """The numbers that a step logged, in the order of their recording."""

    @abstractmethod
    def logged_parameters(self, step_run_id: int) -> dict[str, str]:
        """The parameters that a step reported by itself."""

    # Housekeeping: listing, comparing, pruning, deleting and moving what is recorded. Runs that are given are such as have ended.

    @abstractmethod
    def recorded_artifacts(
        self,
        *,
        pipeline: str | None = None,
        run_id: int | None = None,
        step: str | None = None,
        limit: int | None = None,
    ) -> list[RecordedArtifact]:
        """Artifacts, the newest first: of a pipeline, of a run (what it took from the cache included), of the steps of a name."""

    @abstractmethod
    def artifact_uses(self, artifact_id: int) -> list[ArtifactUse]:
        """The step runs that wrote an artifact, took it from the cache, or read it. Raises DoesNotExistException."""

    @abstractmethod
    def history(self, run_id: int) -> RunHistory:
        """All that is recorded of a run, in few queries. Raises DoesNotExistException."""

    @abstractmethod
    def import_run(self, history: RunHistory) -> int:
        """Record a run of another store; gives its id.

        The ids in `history` only say what belongs together; each input is the output of one of its steps. None of its results is given
        for a cache key, and a cached step has what it gave as outputs of its own. Raises DuplicateRunNameError.
        """

    @abstractmethod
    def unfinished_runs(self) -> list[RunRecord]:
        """The runs in progress, after those that are dead were settled."""

    @abstractmethod
    def ended_runs(self) -> list[EndedRun]:
        """The runs that have ended, the oldest first."""

    @abstractmethod
    def unpublished_attempts(self) -> list[UnpublishedAttempt]:
        """The attempts of runs that have ended which published nothing."""

    @abstractmethod
    def unused_artifacts(
        self, run_ids: Collection[int], store: str
    ) -> Mapping[int, Sequence[ArtifactRecord]]:
        """What is not removed of the artifacts that these runs made and no other run uses, in the artifact store with the root `store`.

        By the id of the run; runs that have none are left out.
        """

    @abstractmethod
    def set_aside(self, run_ids: Collection[int], store: str, moment: float) -> None:
        """Mark `unused_artifacts` as removed at `moment`: from then on, no run gets them for a cache key. Many short transactions."""

    @abstractmethod
    def confirm_removal(self, run_ids: Collection[int], store: str, moment: float) -> None:
        """Take that mark from those that another run uses all the same: one to which they were promised before."""

    @abstractmethod
    def removed_artifacts(self, run_ids: Collection[int], store: str, moment: float) -> list[ArtifactRecord]:
        """Those of these runs that have that mark."""

    @abstractmethod
    def bring_back(self, run_ids: Collection[int], store: str, moment: float) -> None:
        """Take that mark from all: their files are there again."""

    @abstractmethod
    def users_of_runs(self, run_ids: Collection[int]) -> Mapping[int, Collection[int]]:
        """The ids of other runs that use results of these, by the id of the run whose results they are."""

    @abstractmethod
    def stores_of_runs(self, run_ids: Collection[int]) -> Collection[str]:
        """The roots of the artifact stores that hold artifacts of these runs which are not removed."""

    @abstractmethod
    def dump_runs(self, run_ids: Collection[int]) -> Rows:
        """All that is recorded of these runs, as `restore_runs` takes it."""

    @abstractmethod
    def delete_runs(self, run_ids: Collection[int]) -> None:
        """Delete all that is recorded of these runs; those that are not there are left out. Raises InUseError if others use them."""

    @abstractmethod
    def restore_runs(self, rows: Rows) -> None:
        """Put back what `dump_runs` gave, under the same ids; runs that are there already are left out.

        Raises:
            DuplicateRunNameError: another run has the name of one of them.
            DoesNotExistException: they use results of runs that are no longer recorded.
        """
