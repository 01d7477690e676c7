"""Slurm's programs: what they are asked, and what they answer. Written for Slurm 22.05 and later."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zenml.exceptions import RunError
from zenml.jobs import EngineUnreachableError, JobState
from zenml.stack.capacity import Capacity

_SECONDS = 60.0
"""For how long a program may take; by itself it gives up after about ten seconds when nobody answers."""

_SILENCE = re.compile(r"[Uu]nable to contact|[Cc]ommunication|[Ss]ocket timed out|Zero Bytes|[Cc]onnection")
"""What a program says when the controller does not answer."""

_INHERITED = re.compile(
    r"HOME|LANG|LC_\w+|LD_LIBRARY_PATH|LOGNAME|PATH|PYTHONPATH|SHELL|SLURM_CONF|TZ|USER|SBATCH_(?!WAIT|EXPORT|GET_USER_ENV)\w+"
)
"""Variables that jobs have as well. Others are no business of the controller, which writes them to its disk: they may be secrets."""

_WAITING = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_RUNNING = {
    *("COMPLETING", "CONFIGURING", "RESIZING", "RUNNING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED")
}


_DOWN = re.compile(r"down|drain|drng|fail|maint|unk|\w+\*")
"""States of nodes that take no jobs; a star says that a node does not answer."""


@dataclass(frozen=True)
class Listed:
    """A job in Slurm's list. `state` and `reason` are Slurm's own words, `nodes` where it runs or has run."""

    state: str
    nodes: str
    reason: str

    @property
    def job_state(self) -> JobState:
        """What that means for whoever waits."""
        if self.state in _WAITING:
            return JobState.WAITING
        if self.state in _RUNNING:
            return JobState.RUNNING
        return JobState.SUCCEEDED if self.state == "COMPLETED" else JobState.FAILED


def submit(script: Path, options: Sequence[str]) -> str:
    """Give Slurm a batch script; gives its number.

    Raises:
        RunError: it is refused; the message is Slurm's own.
    """
    return _run("sbatch", "--parsable", *options, str(script)).partition(";")[0].strip()


def check_submission(options: Sequence[str]) -> None:
    """See whether jobs with such options would be accepted. Raises as `submit` does."""
    _run("sbatch", "--test-only", *options, "--wrap", "true")


def listed(ids: Iterable[str]) -> Mapping[str, Listed]:
    """How jobs are, by one request. Slurm forgets them some minutes after their end: these are left out."""
    wanted = ",".join(ids)
    try:
        told = _run("squeue", "--noheader", "--states=all", "--format=%i|%T|%N|%r", f"--jobs={wanted}")
    except EngineUnreachableError:
        raise
    except RunError as error:
        if "Invalid job id" in str(error):
            return {}
        raise EngineUnreachableError(str(error)) from error
    rows = (line.strip().split("|", 3) for line in told.splitlines())
    return {id_: Listed(state, nodes, reason) for id_, state, nodes, reason in rows}


def cancel(ids: Iterable[str]) -> None:
    """End jobs; those that have ended, or that Slurm does not know any more, stay as they are."""
    _run("scancel", "--quiet", *ids)


@dataclass(frozen=True)
class Nodes:
    """What a partition consists of: one for each node. `down` are those that take no jobs now."""

    partition: str
    capacities: Mapping[str, Capacity]
    down: tuple[str, ...]


def nodes(partition: str | None) -> Nodes | None:
    """The nodes of a partition, or of the default one; None if there is no such partition, or none is the default.

    Raises:
        EngineUnreachableError: the controller does not answer.
        RunError: Slurm's programs are not there, or not configured.
    """
    told = _run("sinfo", "--noheader", "--Node", "--all", "--format=%P|%N|%c|%m|%G|%t")
    rows = [line.strip().split("|") for line in told.splitlines()]
    chosen = [
        row for row in rows if row[0].rstrip("*") == partition or (partition is None and row[0].endswith("*"))
    ]
    if not chosen:
        return None
    tokens = _licenses()
    capacities = {
        node: Capacity(_number(cpus), _number(memory) << 20, _devices(gres), tokens)
        for _, node, cpus, memory, gres, _ in chosen
    }
    down = tuple(node for _, node, *_, state in chosen if _DOWN.match(state))
    return Nodes(chosen[0][0].rstrip("*"), capacities, down)


def version() -> str:
    """The version of Slurm's programs here."""
    return _run("sinfo", "--version").strip()


def _licenses() -> dict[str, float]:
    found = re.findall(r"LicenseName=(\S+) Total=(\d+)", _run("scontrol", "--oneliner", "show", "licenses"))
    return {name: float(total) for name, total in found}


def _devices(gres: str) -> tuple[str, ...]:
    """Names for the GPUs of "gpu:a100:4(S:0-1),gpu:2,mps:400"."""
    counts = re.findall(r"(?:^|,)gpu(?::[^:,()]+)?:(\d+)", gres)
    return tuple(map(str, range(sum(map(int, counts)))))


def _number(text: str) -> int:
    return int(re.sub(r"\D.*", "", text) or 0)


def _run(program: str, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if _INHERITED.fullmatch(k)}
    try:
        ended = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        raise RunError(
            f"There is no program '{program}' on the PATH of this machine: run this where Slurm's commands are installed, usually on a "
            "login node."
        ) from None
    except subprocess.TimeoutExpired:
        raise EngineUnreachableError(
            f"Slurm does not answer: '{program}' took more than {_SECONDS:g} seconds."
        ) from None
    if ended.returncode == 0:
        return ended.stdout
    reason = "; ".join(dict.fromkeys(_reasons(ended.stderr))) or f"exit code {ended.returncode}"
    if _SILENCE.search(ended.stderr):
        raise EngineUnreachableError(f"Slurm does not answer: {reason}.")
    raise RunError(f"Slurm refuses it: {reason}.")


def _reasons(said: str) -> Iterable[str]:
    """What a program complains of, without its name and what goes before every complaint."""
    for line in said.splitlines():
        text = re.sub(
            r"^(s\w+: )?(error: |fatal: )?((Batch job submission|allocation failure|Job submit/allocate) ?(failed)?: )?",
            "",
            line,
        )
        if text.strip():
            yield text.strip().rstrip(".")
