"""Jobs of Slurm."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.exceptions import RunError
from zenml.integrations.slurm import slurm_programs
from zenml.jobs import Job, JobEngine, JobState, JobStatus
from zenml.jobs.job import SECRETS_FILE
from zenml.logger import get_logger

if TYPE_CHECKING:
    from zenml.integrations.slurm.slurm_component import SlurmComponent
    from zenml.integrations.slurm.slurm_programs import Listed
    from zenml.model.deployment import ResourceSpec

logger = get_logger("zenml.integrations.slurm")

_LOOK = 0.25
"""Seconds between two looks whether a job has left its exit code."""

_NEVER = re.compile(
    r"BadConstraints|DependencyNeverSatisfied|Invalid(Account|QOS)|(Account|QOS)NotAllowed|Partition(Node|Time)Limit|\w+PerJob(Limit)?"
)
"""Reasons for which a job would wait for ever, unless somebody changes the cluster."""

_USUAL = ("", "None", "Dependency", "Priority", "Resources")

_EXIT, _LOG, _SCRIPT, _SECRETS = "exit_code", "log.txt", "job.sh", "secrets.json"

_TEMPLATE = """\
#!/bin/bash -l
folder={folder}
# Slurm forgets a job soon; this is how its end is known.
at_end() {{
    code=$?
    rm -f "$folder/{secrets}"
    echo $code > "$folder/{exit}.new" && mv "$folder/{exit}.new" "$folder/{exit}"
    {tidy}
}}
trap at_end EXIT
# The command gets the signal as well, and is waited for.
trap : TERM
{exports}
set -e
{setup}
{command}
"""


class SlurmJobs(JobEngine):
    """Each job is a batch script with a folder of its own below the component's: script, log, exit code, and secrets until it ends.

    Where nobody follows jobs, those that end well remove their folders, and the last one those of jobs that were never started.
    """

    def __init__(self, component: SlurmComponent, *, is_followed: bool = True) -> None:
        self._component = component
        self._is_followed = is_followed
        self._folders: dict[str, Path] = {}
        self._listed: Mapping[str, Listed] = {}
        self._next_request = 0.0
        self._told: set[str] = set()
        self.max_jobs = component.max_jobs
        self.poll_seconds = min(_LOOK, component.poll_seconds)

    def submit(self, job: Job, *options: str, is_last: bool = False) -> str:
        """Write the script, and submit it with further options."""
        folder = Path(self._component.local_path) / job.name
        try:
            folder.mkdir(mode=0o700, parents=True)
            tidy = [] if self._is_followed else ['[ $code -ne 0 ] || rm -rf "$folder"']
            if is_last:  # it fails as its run does
                others = shlex.join(map(str, self._folders.values()))
                tidy = [
                    f'[ -s "$folder/{_LOG}" ] || rm -rf "$folder"',
                    f'for other in {others}; do rm -f "$other/{_SECRETS}"; [ -e "$other/{_LOG}" ] || rm -rf "$other"; done',
                ]
            script = _write(folder, job, self._component, "; ".join(tidy))
            all_options = [*self._component.submission_options, *_resources(job.resources), *options]
            all_options += [f"--job-name={job.name}", f"--comment={job.pipeline}: {job.run}: {job.step}"]
            all_options += ["--output=" + str(folder / _LOG).replace("%", "%%"), "--open-mode=append"]
            id_ = slurm_programs.submit(script, all_options)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise RunError(
                    f"The working folder {self._component.local_path!r} of the {self._component.TYPE.display} "
                    f"'{self._component.name}' cannot be used: {error.strerror}. Give it another `path`, which all nodes see."
                ) from error
            if type(error) is RunError:
                raise RunError(
                    f"The step '{job.step}' was not taken by Slurm. {error} Change the step's resources, or the options of the "
                    f"{self._component.TYPE.display} '{self._component.name}'."
                ) from None
            raise
        self._folders[id_] = folder
        self._next_request = 0.0
        return id_

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """How jobs are: by their exit codes at once, by Slurm's list every `poll_seconds` of the component."""
        codes = {id_: code for id_ in ids if (code := self._exit_code(id_)) is not None}
        open_ = [id_ for id_ in ids if id_ not in codes]
        now = time.monotonic()
        if open_ and now >= self._next_request:
            self._listed = slurm_programs.listed(open_)
            self._next_request = now + self._component.poll_seconds
            # What was given up by Slurm between the two looks has written its exit code before.
            codes |= {id_: code for id_ in open_ if (code := self._exit_code(id_)) is not None}
        return {id_: self._status(id_, codes.get(id_)) for id_ in ids}

    def cancel(self, id: str) -> None:
        """SIGTERM, and SIGKILL after Slurm's KillWait. An entry point ends by itself before, when its run is over."""
        slurm_programs.cancel([id])
        self._next_request = 0.0

    def log(self, id: str, lines: int = 20) -> list[str]:
        """The end of the job's log, which has Slurm's own words on its end as well."""
        try:
            text = (self._folders[id] / _LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return text.splitlines()[-lines:]

    def remove(self, id: str) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folders.pop(id), ignore_errors=True)

    def _exit_code(self, id_: str) -> int | None:
        try:
            return int((self._folders[id_] / _EXIT).read_text())
        except OSError:
            return None

    def _status(self, id_: str, code: int | None) -> JobStatus:
        listed = self._listed.get(id_)
        if code is not None:
            where = f" on the node {listed.nodes}" if listed and listed.nodes else ""
            return JobStatus(JobState.FAILED if code else JobState.SUCCEEDED, f"exit code {code}{where}")
        if listed is None:
            return JobStatus(
                JobState.LOST, f"Slurm does not know the job {id_} any more, and it has left no exit code"
            )
        state = listed.job_state
        if state is JobState.WAITING:
            if _NEVER.fullmatch(listed.reason):
                slurm_programs.cancel([id_])
                return JobStatus(
                    JobState.FAILED,
                    f"it would have waited in Slurm's queue for ever, for the reason {listed.reason}",
                )
            if listed.reason not in _USUAL and id_ not in self._told:
                self._told.add(id_)
                logger.info("The job %s waits in Slurm's queue: %s.", id_, listed.reason)
            return JobStatus(state, listed.reason)
        if not state.is_finished:
            return JobStatus(state)
        words = listed.state.lower().replace("_", " ")
        where = f" on the node {listed.nodes}" if listed.nodes else ""
        return JobStatus(state, f"Slurm says: {words}{where}")


def _write(folder: Path, job: Job, component: SlurmComponent, tidy: str) -> Path:
    exported = dict(job.environment)
    if job.secrets is not None:
        path = folder / _SECRETS
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(job.secrets)
        exported[SECRETS_FILE] = str(path)
    script = folder / _SCRIPT
    script.write_text(
        _TEMPLATE.format(
            folder=shlex.quote(str(folder)),
            secrets=_SECRETS,
            exit=_EXIT,
            tidy=tidy,
            exports="\n".join(
                f"export {name}={shlex.quote(value)}" for name, value in sorted(exported.items())
            ),
            setup="\n".join(component.setup),
            command=shlex.join([component.interpreter, *job.command[1:]]),
        ),
        encoding="utf-8",
    )
    return script


def _resources(need: ResourceSpec | None) -> list[str]:
    if need is None:
        return []
    licenses = ",".join(f"{name}:{math.ceil(amount)}" for name, amount in need.custom.items() if amount)
    return [
        *([f"--cpus-per-task={math.ceil(need.cpu)}"] if need.cpu else []),
        *([f"--mem={math.ceil(need.memory / 1024)}K"] if need.memory else []),
        *([f"--gres=gpu:{need.gpu}"] if need.gpu else []),
        *([f"--licenses={licenses}"] if licenses else []),
    ]
