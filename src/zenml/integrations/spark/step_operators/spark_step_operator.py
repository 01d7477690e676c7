"""A step operator that executes steps as applications of Spark."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.request import urlopen

from pydantic import Field, field_validator

from zenml.enums import Reach
from zenml.exceptions import ConfigurationError, MissingPackageError, StackValidationError
from zenml.integrations.spark.step_operators import spark_application
from zenml.jobs.processes import ProcessJobs
from zenml.stack import capacity
from zenml.stack.capacity import Capacity
from zenml.stack.checks import Check, tried
from zenml.step_operators.job_step_operator import JobStepOperator

if TYPE_CHECKING:
    from zenml.jobs import Job, JobEngine
    from zenml.model.deployment import Deployment, ResourceSpec

_CONNECT = 5.0
_PREFIX = "spark."
_PORT, _PAGE_PORT = 7077, 8080


class SparkStepOperator(JobStepOperator):
    """Executes steps by spark-submit, in client mode: the step's process is the application's driver, on this machine.

    In the step, `SparkSession.builder.getOrCreate()` gives the session that is configured here. `Resources(cpu=, memory=, gpu=)` are what
    each executor has; how many there are, `conf` says. With a local master, the step's process is all that there is.

    Args:
        master: as spark-submit takes it: "spark://host:7077", "yarn", "k8s://https://...", "local[4]".
        conf: Spark's own properties, as in {"spark.cores.max": "8"}.
        packages: Maven coordinates of jars, which spark-submit fetches, with what they need.
        jars: paths or URLs of jars.
        py_files: .py, .zip or .egg files that executors import from.
        python: the interpreter of the executors; by default, that of this process.
        master_page: the web page of a standalone master, which tells before a run what workers have; by default, port 8080 of the master is
            asked, and nothing is refused when it does not answer.
    """

    FLAVOR: ClassVar[str] = "spark"
    carries_secrets: ClassVar[bool] = True

    master: str = "local[*]"
    conf: dict[str, str] = Field(default_factory=dict)
    packages: list[str] = Field(default_factory=list)
    jars: list[str] = Field(default_factory=list)
    py_files: list[str] = Field(default_factory=list)
    python: str | None = None
    master_page: str | None = None

    @field_validator("master")
    @classmethod
    def _check_master(cls, value: str) -> str:
        if value.partition("[")[0] in ("local", "yarn") or value.startswith(("spark://", "k8s://")):
            return value
        raise ValueError(
            f"{value!r} is no master of Spark: expected one as spark://host:7077, yarn, k8s://https://host:443 or local[4]"
        )

    @field_validator("conf")
    @classmethod
    def _check_conf(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := [name for name in value if not name.startswith(_PREFIX)]:
            raise ValueError(f"{wrong[0]!r} is no property of Spark: their names begin with {_PREFIX!r}")
        if "spark.submit.deployMode" in value:
            raise ValueError("the deploy mode is 'client', always: the step's process runs on this machine")
        return value

    @field_validator("master_page")
    @classmethod
    def _check_page(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError(f"{value!r} is no web page: expected one as http://host:8080")
        return value

    @property
    def spread(self) -> Reach:
        """The step is a process of this machine, wherever the executors are."""
        return Reach.HOST

    def check(self) -> Iterator[Check]:
        """Whether spark-submit and Java are there, and a standalone master answers."""
        yield from super().check()
        yield tried("spark-submit", lambda: str(_home()))
        yield tried("java", _java)
        for host, port in _addresses(self.master):
            yield tried("master", lambda host=host, port=port: _connect(host, port))  # type: ignore[misc]

    def check_deployment(self, deployment: Deployment) -> None:
        """See that there is a worker with what each step needs; YARN and Kubernetes are not asked."""
        if not (needs := self.needs(deployment)):
            return
        workers = [self._own()] if self._is_local else self._workers()
        if workers is not None:
            capacity.refuse_unmet(
                needs,
                workers,
                lacking=f"No worker of the master {self.master} of the step operator '{self.name}' has what these steps need",
                remedy="Let them ask for less, or give the master larger workers: `start-worker.sh --cores 8 --memory 32g`, or local[8].",
            )

    def jobs(self) -> JobEngine:
        """Each step is a process of spark-submit."""
        _home()
        return ProcessJobs(self._prepared)

    @property
    def _is_local(self) -> bool:
        return self.master.startswith("local")

    def _own(self) -> Capacity:
        """What a local master has: as many threads as it names, one where it names none."""
        threads = re.search(r"\[(\d+|\*)", self.master)
        there = capacity.here()
        if threads is None or threads[1] != "*":
            there = replace(there, cpus=int(threads[1]) if threads else 1)
        return there

    def _workers(self) -> list[Capacity] | None:
        """What the workers of a standalone master have; None if nobody tells."""
        for host, port in _addresses(self.master):
            page = self.master_page or f"http://{host}:{_PAGE_PORT}"
            with (
                suppress(OSError, HTTPException, ValueError, KeyError),
                urlopen(f"{page.rstrip('/')}/json/", timeout=_CONNECT) as answer,  # noqa: S310  http, by a validator
            ):
                told = json.load(answer)
                # Another master of that host may have the page that was guessed.
                is_it = self.master_page or told["url"].endswith(f":{port}")
                if is_it and told["status"] == "ALIVE":
                    return [_capacity(worker) for worker in told["workers"] if worker["state"] == "ALIVE"]
        if self.master_page and self.master.startswith("spark://"):
            raise StackValidationError(
                f"The page {self.master_page} of the step operator '{self.name}' does not answer, or not as that of a master of Spark that "
                "is in charge: correct its `master_page`."
            )
        return None

    def _prepared(self, job: Job, folder: Path) -> tuple[list[str], dict[str, str]]:
        home = _home()
        # A file, since values may be secrets.
        properties = folder / "spark.properties"
        properties.touch(mode=0o600)
        properties.write_text(_written(self._properties(job.resources)), encoding="utf-8")
        lists = {"packages": self.packages, "jars": self.jars, "py-files": self.py_files}
        command = [
            str(home / "bin" / "spark-submit"),
            f"--master={self.master}",
            "--deploy-mode=client",
            f"--name={job.pipeline}: {job.step}" if job.step else f"--name={job.pipeline}",
            f"--properties-file={properties}",
            "--load-spark-defaults",
            *(f"--{option}={','.join(words)}" for option, words in lists.items() if words),
            str(Path(spark_application.__file__)),
            *job.command[1:],
        ]
        return command, {**os.environ, "SPARK_HOME": str(home)}

    def _properties(self, need: ResourceSpec | None) -> dict[str, str]:
        python = self.python or sys.executable
        # Executors unpickle functions of the user's modules: they look for these where this process does.
        places = [place for place in sys.path if place and not Path(place).is_relative_to(sys.prefix)]
        own = [place for place in places if not Path(place).is_relative_to(sys.base_prefix)]
        found = {
            "spark.pyspark.python": python,
            "spark.pyspark.driver.python": sys.executable,
            "spark.executorEnv.PYTHONPATH": os.pathsep.join(own),
        }
        if need is not None:
            amounts = {"gpu": need.gpu, **need.custom}
            memory = "driver" if self._is_local else "executor"
            found |= {
                **({"spark.executor.cores": str(math.ceil(need.cpu))} if need.cpu else {}),
                **({f"spark.{memory}.memory": f"{math.ceil(need.memory / 1024)}k"} if need.memory else {}),
                **{f"spark.executor.resource.{n}.amount": str(math.ceil(a)) for n, a in amounts.items() if a},
            }
        return {**found, **self.conf}


def _home() -> Path:
    """The folder of Spark: what SPARK_HOME says, or that of the installed library."""
    if given := os.environ.get("SPARK_HOME"):
        if not (Path(given) / "bin" / "spark-submit").is_file():
            raise StackValidationError(
                f"SPARK_HOME is {given!r}, but there is no bin/spark-submit in that folder: let it name the folder of a Spark distribution."
            )
        return Path(given)
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise MissingPackageError("Spark is not installed: `pip install 'pyspark>=4.1'`, or set SPARK_HOME.")
    return Path(found.origin).parent


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None:
        where = f"below JAVA_HOME, which is {home!r}" if home else "on PATH, and JAVA_HOME is not set"
        raise StackValidationError(f"There is no Java {where}: Spark 4 needs version 17 or later.")
    return java


def _addresses(master: str) -> Iterator[tuple[str, int]]:
    """Those of the masters of "spark://one:7077,two:7077"."""
    if not master.startswith("spark://"):
        return
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":") if ":" in address else (address, "", str(_PORT))
        if not port.isdigit():
            raise ConfigurationError(f"{master!r} is no master of Spark: expected one as spark://host:7077.")
        yield host, int(port)


def _capacity(worker: Mapping[str, Any]) -> Capacity:
    """What a worker has, as its master tells it: memory in MiB."""
    tokens = {name: float(len(one["addresses"])) for name, one in worker["resources"].items()}
    gpus = tuple(map(str, range(int(tokens.pop("gpu", 0)))))
    return Capacity(worker["cores"], worker["memory"] << 20, gpus, tokens)


def _connect(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=_CONNECT).close()
    except OSError as error:
        raise StackValidationError(
            f"The master of Spark at {host}:{port} does not answer: {error.strerror or error}. Start it, or give the step operator another "
            "`master`."
        ) from error


def _written(properties: Mapping[str, str]) -> str:
    """As a file of Java's class Properties."""
    table = str.maketrans(
        {
            "\\": "\\\\",
            "\n": "\\n",
            "\r": "\\r",
            "\t": "\\t",
            ":": "\\:",
            "=": "\\=",
            "#": "\\#",
            "!": "\\!",
            " ": "\\ ",
        }
    )
    return "".join(
        f"{name.translate(table)}={value.translate(table)}\n" for name, value in properties.items()
    )
