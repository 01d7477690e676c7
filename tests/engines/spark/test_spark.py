"""The step operator of Spark, on a real standalone cluster."""

import os
import stat
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.guides import run_guide
from tests.services import free_port
from zenml.enums import CheckOutcome, Reach
from zenml.exceptions import ConfigurationError, RunError, StackValidationError
from zenml.integrations.spark.step_operators import SparkStepOperator
from zenml.jobs import Job
from zenml.model.deployment import Deployment, ResourceSpec, StackSpec, StepSpec
from zenml.pipelines import pipeline
from zenml.step_operators import BaseStepOperator
from zenml.steps import Resources, step
from zenml.testing.conformance import StepOperatorConformance
from zenml.testing.isolation import isolated_stack

# A JVM takes a while to start, on a machine that is busy.
pytestmark = pytest.mark.timeout(300)

HERE = {"spark.driver.host": "127.0.0.1", "spark.ui.enabled": "false", "spark.default.parallelism": "1"}


@pytest.fixture
def master_page(spark_master: str) -> str:
    """The address of the master's web page, as its process was told."""
    port = spark_master.rpartition(":")[2]
    words = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    (page,) = (one[one.index("--webui-port") + 1] for one in words if ["--port", port] == one[-4:-2])
    return f"http://127.0.0.1:{page}"


@pytest.fixture
def operator(spark_master: str, master_page: str, monkeypatch: pytest.MonkeyPatch) -> SparkStepOperator:
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    path = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    return SparkStepOperator(name="operator", master=spark_master, master_page=master_page, conf=HERE)


class TestSpark(StepOperatorConformance):
    @pytest.fixture
    def step_operator(self, operator: SparkStepOperator) -> BaseStepOperator:
        return operator


def doubled(number: int) -> str:
    """A function of this module, which the executors have to import."""
    return f"{2 * number} {os.getpid()}"


@step(step_operator="operator", resources=Resources(cpu=1, memory="512MiB"), enable_cache=False)
def compute(count: int) -> dict[str, object]:
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import udf

    session = SparkSession.builder.getOrCreate()
    rows = session.range(count).select(udf(doubled)("id")).collect()
    numbers, processes = zip(*(row[0].split() for row in rows), strict=True)
    return {
        "total": sum(map(int, numbers)),
        "is_elsewhere": str(os.getpid()) not in processes,
        "master": session.sparkContext.master,
        "memory": session.conf.get("spark.executor.memory"),
        "odd": session.conf.get("spark.hadoop.fs.own"),
    }


@pipeline
def computing() -> None:
    compute(count=100)


def test_a_step_computes_on_the_executors(
    operator: SparkStepOperator, tmp_path: Path, spark_master: str
) -> None:
    odd = "a = b: c\\d #!"
    configured = operator.updated({"conf": {**HERE, "spark.cores.max": "1", "spark.hadoop.fs.own": odd}})
    with isolated_stack(tmp_path / "world", step_operator=configured):
        told = computing().run().get_step("compute").output.read()
    assert told == {
        "total": 9900,
        "master": spark_master,
        "memory": "524288k",
        "is_elsewhere": True,
        "odd": odd,
    }


def needing(need: ResourceSpec) -> Deployment:
    step = StepSpec("heavy", "m:heavy", "heavy", step_operator="operator", resources=need)
    return Deployment("p", "r", uuid4(), (step,), StackSpec("s", {}))


def test_what_no_worker_has_is_refused_before_the_run(operator: SparkStepOperator, spark_master: str) -> None:
    operator.check_deployment(needing(ResourceSpec(cpu=2, memory=2 << 30)))
    with pytest.raises(StackValidationError) as refused:
        operator.check_deployment(needing(ResourceSpec(3, 4 << 30, 1, {"fpga": 1})))
    assert str(refused.value) == (
        f"No worker of the master {spark_master} of the step operator 'operator' has what these steps need:\n"
        "  the step 'heavy' needs cpu: 3, of 2\n"
        "  the step 'heavy' needs memory: 4.295 GB, of 2.147 GB\n"
        "  the step 'heavy' needs gpu: 1, of 0\n"
        "  the step 'heavy' needs fpga: 1, of 0\n"
        "Let them ask for less, or give the master larger workers: `start-worker.sh --cores 8 --memory 32g`, or local[8]."
    )


def test_a_page_that_does_not_tell(operator: SparkStepOperator) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StackValidationError, match="does not answer, .* correct its `master_page`"):
        operator.updated({"master_page": nowhere}).check_deployment(needing(ResourceSpec(cpu=64)))
    # Nobody is known who could tell.
    operator.updated({"master": "spark://127.0.0.1:1", "master_page": None}).check_deployment(
        needing(ResourceSpec(cpu=64))
    )
    operator.updated({"master": "yarn", "master_page": None}).check_deployment(needing(ResourceSpec(cpu=64)))


@pytest.mark.parametrize(("master", "cores"), [("local", "1"), ("local[3]", "3"), ("local[2,4]", "2")])
def test_a_local_master_has_its_threads(master: str, cores: str) -> None:
    operator = SparkStepOperator(name="operator", master=master)
    with pytest.raises(StackValidationError, match=rf"needs cpu: 64, of {cores}\n"):
        operator.check_deployment(needing(ResourceSpec(cpu=64)))
    assert operator._properties(ResourceSpec(memory=1 << 30))["spark.driver.memory"] == "1048576k"


def test_properties_are_in_a_file_and_not_among_the_arguments(
    operator: SparkStepOperator, tmp_path: Path
) -> None:
    configured = operator.updated(
        {"conf": {"spark.hadoop.fs.s3a.secret.key": "hidden"}, "packages": ["a:b:1", "c:d:2"]}
    )
    job = Job("z", ("python", "-m", "m"), "p", "r", "s", resources=ResourceSpec(2, None, 1, {"fpga": 1}))
    command, environment = configured._prepared(job, tmp_path)
    assert "--packages=a:b:1,c:d:2" in command
    assert not [word for word in [*command, *environment.values()] if "hidden" in word]
    file = tmp_path / "spark.properties"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {
        "spark.hadoop.fs.s3a.secret.key=hidden",
        "spark.executor.cores=2",
        "spark.executor.resource.gpu.amount=1",
        "spark.executor.resource.fpga.amount=1",
    } <= set(file.read_text().splitlines())


def test_a_master_that_does_not_answer_is_seen_by_a_check() -> None:
    checks = SparkStepOperator(name="far", master="spark://127.0.0.1:1").check()
    failed = [check for check in checks if check.outcome is not CheckOutcome.OK]
    assert [check.what for check in failed] == ["master"]
    assert failed[0].message.startswith(
        "The master of Spark at 127.0.0.1:1 does not answer: Connection refused."
    )


def test_a_machine_without_java_is_seen_by_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    failed = [check for check in SparkStepOperator(name="s").check() if check.outcome is not CheckOutcome.OK]
    assert [check.what for check in failed] == ["java"]


def test_a_folder_of_spark_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    with pytest.raises(StackValidationError, match="but there is no bin/spark-submit in that folder"):
        SparkStepOperator(name="s").jobs()


def test_what_spark_submit_refuses_is_shown(operator: SparkStepOperator) -> None:
    wrong = operator.updated({"conf": {"spark.driver.memory": "a lot"}})
    with pytest.raises(RunError, match=r"has failed: exit code 1\."):
        wrong.launch("pipeline", "run", [], ["python", "-c", "pass"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"master": "nowhere"}, "is no master of Spark: expected one as spark://host:7077"),
        ({"master_page": "host:8080"}, "is no web page: expected one as http://host:8080"),
        ({"conf": {"cores": "1"}}, "'cores' is no property of Spark"),
        ({"conf": {"spark.submit.deployMode": "cluster"}}, "the deploy mode is 'client', always"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        SparkStepOperator(name="s", **fields)


def test_steps_are_processes_of_this_machine() -> None:
    assert SparkStepOperator(name="s", master="spark://far.example.org:7077").spread is Reach.HOST


def test_the_guide(operator: SparkStepOperator, spark_master: str) -> None:
    printed = run_guide("spark", {"spark://10.0.0.5:7077": spark_master})
    assert printed[-1].endswith("1000\n")
