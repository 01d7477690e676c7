"""What goes wrong on a Slurm cluster, and what is said about it."""

import os
import re
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zenml.enums import CheckOutcome, ExecutionStatus, Reach
from zenml.exceptions import ConfigurationError, RunError, StackValidationError, StepCrashedError
from zenml.integrations.slurm import slurm_programs
from zenml.integrations.slurm.orchestrators import SlurmOrchestrator
from zenml.integrations.slurm.slurm_jobs import SlurmJobs
from zenml.integrations.slurm.step_operators import SlurmStepOperator
from zenml.jobs import EngineUnreachableError, Job, JobState
from zenml.pipelines import pipeline
from zenml.stack import Stack
from zenml.steps import Resources, Retry, step
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

pytestmark = pytest.mark.usefixtures("slurm")

SECONDS = 60


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs import the steps from this file."""
    path = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)


@contextmanager
def on_slurm(tmp_path: Path, **fields: object) -> Iterator[Stack]:
    fields = {"path": str(tmp_path / "jobs"), "poll_seconds": 0.2, **fields}
    with isolated_stack(tmp_path / "world", orchestrator=SlurmOrchestrator(name="slurm", **fields)) as stack:
        yield stack


def job(name: str, *command: str, **more: object) -> Job:
    return Job(name=name, command=("python", *command), pipeline="p", run="r", step="s", **more)  # type: ignore[arg-type]


def end_of(jobs: SlurmJobs, id_: str) -> tuple[JobState, str]:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        status = jobs.states([id_])[id_]
        if status.state.is_finished:
            return status.state, status.reason
        time.sleep(0.05)
    raise AssertionError(f"the job {id_} does not end")


@step
def give(value: int) -> int:
    return value


@step(retries=Retry(attempts=2, on=(StepCrashedError,)), enable_cache=False)
def hold(folder: str) -> str:
    """Say where this is, and wait in the first attempt."""
    place = Path(folder) / os.environ["SLURMD_NODENAME"]
    if not list(Path(folder).iterdir()):
        place.touch()
        time.sleep(SECONDS)
    return place.name


@pipeline
def holding(folder: str) -> None:
    hold(folder=folder)


def test_a_node_fails_and_its_step_is_tried_again(tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.mkdir()

    def fail() -> None:
        deadline = time.monotonic() + SECONDS
        while not list(held.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        # It comes back by itself. No other test uses this partition.
        command = ["scontrol", "update", "NodeName=three", "State=DOWN", "Reason=test"]
        subprocess.run(command, check=True)

    failing = threading.Thread(target=fail)
    failing.start()
    with on_slurm(tmp_path, partition="spare") as stack:
        run = holding(folder=str(held)).run()
        attempts = stack.metadata_store.attempts(run.get_step("hold").id)
    failing.join()
    assert run.get_step("hold").output.read() == "three"
    assert [str(attempt.status) for attempt in attempts] == ["crashed", "completed"]
    assert attempts[0].error is not None
    assert re.search("DUE TO NODE FAILURE|node fail on the node", attempts[0].error.message)


@step(timeout=3, enable_cache=False)
def brief() -> int:
    return 1


@pipeline
def waiting() -> None:
    brief()


def test_a_step_that_waits_in_the_queue_does_not_use_up_its_timeout(tmp_path: Path) -> None:
    with on_slurm(tmp_path, options=["--begin=now+5"]):
        started = time.monotonic()
        assert waiting().run().status is ExecutionStatus.COMPLETED
        assert time.monotonic() - started > 4


def test_a_job_that_would_wait_for_ever_has_failed(tmp_path: Path) -> None:
    with on_slurm(tmp_path, partition="short", time_limit="10") as stack:
        with pytest.raises(
            RunError, match=r"waited in Slurm's queue for ever, for the reason PartitionTimeLimit"
        ):
            waiting().run()
        assert last_run().status is ExecutionStatus.FAILED
        assert stack.orchestrator.FLAVOR == "slurm"
    assert not list((tmp_path / "jobs").iterdir())


def test_a_job_that_takes_longer_than_slurm_lets_it_says_so(tmp_path: Path) -> None:
    jobs = SlurmJobs(SlurmOrchestrator(name="slurm", path=str(tmp_path), time_limit="0:01", poll_seconds=0.2))
    id_ = jobs.submit(job("z-long", "-c", "import time; time.sleep(300)"))
    jobs.cancel(
        id_
    )  # Slurm looks for those that are late every half minute: its word for this one is another
    state, reason = end_of(jobs, id_)
    assert state is JobState.FAILED
    assert "cancelled" in reason or "exit code 143" in reason


@step(resources=Resources(cpu=3, gpu=2, memory="1GB", custom={"license": 5}))
def greedy() -> int:
    return 1


@pipeline
def needing() -> None:
    greedy()


def test_a_step_that_needs_more_than_any_node_has_is_refused_before_the_run(tmp_path: Path) -> None:
    with on_slurm(tmp_path) as stack:
        with pytest.raises(StackValidationError) as raised:
            needing().run()
        assert stack.metadata_store.count_runs() == 0
    assert str(raised.value) == (
        "No node of the partition 'main' of the orchestrator 'slurm' has what these steps need:\n"
        "  the step 'greedy' needs cpu: 3, of 2\n"
        "  the step 'greedy' needs gpu: 2, of 1\n"
        "  the step 'greedy' needs license: 5, of 2\n"
        "Let them ask for less, or choose another partition: `sinfo --Node --long` lists what nodes have."
    )


@step(step_operator="operator")
def work_there() -> int:
    return 1


@pipeline
def working_there() -> None:
    work_there()


def test_what_slurm_refuses_is_told_in_its_own_words(tmp_path: Path) -> None:
    operator = SlurmStepOperator(
        name="operator", path=str(tmp_path / "jobs"), poll_seconds=0.2, options=["--constraint=nothing"]
    )
    with isolated_stack(tmp_path / "world", step_operator=operator), pytest.raises(RunError) as raised:
        working_there().run()
    assert str(raised.value) == (
        "The step 'work_there' was not taken by Slurm. Slurm refuses it: Invalid feature specification. Change the step's resources, or "
        "the options of the step operator 'operator'."
    )
    assert not list((tmp_path / "jobs").iterdir())


@step(resources=Resources(cpu=2, memory="200MiB", gpu=1, custom={"license": 1}), enable_cache=False)
def granted() -> dict[str, str]:
    number = os.environ["SLURM_JOB_ID"]
    return {
        "job": subprocess.check_output(["scontrol", "show", "job", number], text=True),
        "node": os.environ["SLURMD_NODENAME"],
        "cpus": os.environ["SLURM_CPUS_PER_TASK"],
    }


@pipeline
def taking() -> None:
    granted()


def test_resources_are_those_of_the_job(tmp_path: Path) -> None:
    with on_slurm(tmp_path):
        told = taking().run().get_step("granted").output.read()
    assert (told["node"], told["cpus"]) == ("two", "2")
    assert "Licenses=license:1" in told["job"]
    assert "MinMemoryNode=200M" in told["job"]
    assert "gres:gpu:1" in told["job"] or "gres/gpu" in told["job"]


def test_a_partition_that_there_is_not_is_told_before_the_run(tmp_path: Path) -> None:
    with on_slurm(tmp_path, partition="nope") as stack:
        with pytest.raises(StackValidationError) as raised:
            waiting().run()
        assert str(raised.value) == (
            "The orchestrator 'slurm' cannot be used: the Slurm cluster has no partition 'nope'. `sinfo` lists those that there are."
        )
        assert stack.metadata_store.count_runs() == 0
        failed = [check for check in stack.orchestrator.check() if check.outcome is not CheckOutcome.OK]
    assert [check.what for check in failed] == ["cluster", "submission"]
    assert "Invalid partition name" in failed[1].message


def test_a_check_says_what_there_is(tmp_path: Path) -> None:
    checks = {check.what: check for check in SlurmOrchestrator(name="s", path=str(tmp_path)).check()}
    assert {check.outcome for check in checks.values()} == {CheckOutcome.OK}
    assert checks["cluster"].message.endswith("partition 'main': 2 of 2 nodes take jobs")


def test_a_cluster_that_does_not_answer_is_told_before_the_run(
    tmp_path: Path, slurm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = tmp_path / "slurm.conf"
    lines = [line for line in Path(slurm).read_text().splitlines() if not line.startswith("SlurmctldPort")]
    silent.write_text("\n".join([*lines, "SlurmctldPort=1", "MessageTimeout=1"]))
    shutil.copy(Path(slurm).parent / "gres.conf", tmp_path)
    monkeypatch.setenv("SLURM_CONF", str(silent))
    with pytest.raises(
        StackValidationError, match="Slurm does not answer: .*Unable to contact slurm controller"
    ):
        SlurmOrchestrator(name="slurm").jobs()
    with pytest.raises(EngineUnreachableError):
        slurm_programs.listed(["1"])


def test_a_machine_without_slurms_commands_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackValidationError, match="There is no program 'sinfo' on the PATH of this machine"):
        SlurmOrchestrator(name="slurm").jobs()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    jobs = SlurmJobs(SlurmOrchestrator(name="slurm", path=str(tmp_path / "file")))
    with pytest.raises(RunError, match="of the orchestrator 'slurm' cannot be used: Not a directory"):
        jobs.submit(job("z-one", "-c", "pass"))


def test_names_variables_and_lines_arrive_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "a 'folder' with 100%j $HOME"
    greeting = 'it is "here"'
    component = SlurmOrchestrator(
        name="slurm", path=str(folder), poll_seconds=0.2, setup=[f"export GREETING='{greeting}'"]
    )
    code = "import os, sys; print(sys.argv[1:], [os.environ[n] for n in ('ZENML_ODD', 'GREETING')], 'SECRET_X' in os.environ)"
    odd = "a 'quoted' $(word)\nand a line"
    jobs = SlurmJobs(component)
    os.environ["SECRET_X"] = "not for the controller"
    try:
        id_ = jobs.submit(job("z-odd", "-c", code, "$x `y`", environment={"ZENML_ODD": odd}))
    finally:
        del os.environ["SECRET_X"]
    assert end_of(jobs, id_)[0] is JobState.SUCCEEDED
    assert jobs.log(id_) == [f"{['$x `y`']} {[odd, greeting]} False"]
    jobs.remove(id_)
    assert not list(folder.iterdir())


def test_secrets_are_a_file_of_the_user_alone_that_goes_with_the_job(tmp_path: Path) -> None:
    jobs = SlurmJobs(SlurmOrchestrator(name="slurm", path=str(tmp_path), poll_seconds=0.2))
    code = "import os; print(open(os.environ['ZENML_SECRETS_FILE']).read()); import time; time.sleep(1)"
    id_ = jobs.submit(job("z-secret", "-c", code, secrets="hidden"))
    (file,) = (tmp_path / "z-secret").glob("secrets*")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "hidden" not in (tmp_path / "z-secret" / "job.sh").read_text()
    assert end_of(jobs, id_)[0] is JobState.SUCCEEDED
    assert not file.exists()
    assert jobs.log(id_) == ["hidden"]


def test_a_job_that_slurm_has_forgotten_is_lost_unless_it_left_its_exit_code(tmp_path: Path) -> None:
    jobs = SlurmJobs(SlurmOrchestrator(name="slurm", path=str(tmp_path), poll_seconds=0.2))
    id_ = jobs.submit(job("z-exit", "-c", "raise SystemExit(3)"))
    state, reason = end_of(jobs, id_)
    assert (state, reason.partition(" on ")[0]) == (JobState.FAILED, "exit code 3")
    assert slurm_programs.listed(["999999"]) == {}
    assert list(slurm_programs.listed([id_, "999999"])) == [id_]
    jobs._folders["999999"] = tmp_path / "nowhere"
    jobs._next_request = 0
    assert jobs.states(["999999"])["999999"].state is JobState.LOST


def test_a_line_of_setup_that_fails_ends_the_job(tmp_path: Path) -> None:
    component = SlurmOrchestrator(name="slurm", path=str(tmp_path), poll_seconds=0.2, setup=["false"])
    jobs = SlurmJobs(component)
    assert end_of(jobs, jobs.submit(job("z-setup", "-c", "pass")))[0] is JobState.FAILED


def test_a_job_whose_command_takes_no_signal_is_ended(tmp_path: Path) -> None:
    jobs = SlurmJobs(SlurmOrchestrator(name="slurm", path=str(tmp_path), poll_seconds=0.2))
    code = "import signal, time, pathlib; signal.signal(15, signal.SIG_IGN); pathlib.Path('started').touch(); time.sleep(60)"
    id_ = jobs.submit(job("z-deaf", "-c", code))
    deadline = time.monotonic() + SECONDS
    while not Path("started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    jobs.cancel(id_)
    state, reason = end_of(jobs, id_)
    assert state is JobState.FAILED
    assert reason.startswith("Slurm says: cancelled on the node")


@pytest.mark.parametrize(
    "option", ["--partition=x", "-pmain", "--wrap=x", "--export=ALL", "constraint", "--time=3", "-M"]
)
def test_options_that_have_a_field_are_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a further option of sbatch"):
        SlurmOrchestrator(name="slurm", options=[option])


@pytest.mark.parametrize("limit", ["soon", "1h", "-3"])
def test_what_is_no_time_limit_is_refused(limit: str) -> None:
    with pytest.raises(ConfigurationError, match="is no time limit"):
        SlurmOrchestrator(name="slurm", time_limit=limit)


def test_nodes_see_what_this_machine_sees() -> None:
    assert SlurmOrchestrator(name="slurm").spread is Reach.HOST
    assert SlurmStepOperator(name="slurm").spread is Reach.HOST
