"""The step operator that gives steps a virtual environment of their own on this machine."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from zenml.config.global_config import GlobalConfiguration
from zenml.enums import Reach
from zenml.exceptions import ConfigurationError, RunError
from zenml.jobs.processes import ProcessJobs, ShownProcess
from zenml.stack import capacity
from zenml.step_operators.base_step_operator import BaseStepOperator

if TYPE_CHECKING:
    from zenml.jobs import Job, JobEngine
    from zenml.model.deployment import Deployment

_SHOWN = 20
_PACKAGE = "zenml"
_COMPLETE = "complete"


class VenvStepOperator(BaseStepOperator):
    """Executes steps by subprocesses in virtual environments, one for each set of requirements.

    An environment is made when it is first needed and kept below `path`; where that is empty, below the global configuration's
    folder. What the running environment has installed can be imported in there as well, zenml itself included, but the step's
    requirements come first: pip installs those that the running environment does not satisfy. Remove the folder to have them made anew.
    """

    FLAVOR: ClassVar[str] = "venv"
    carries_secrets: ClassVar[bool] = True

    path: str = ""

    @property
    def local_path(self) -> str:
        """The folder of the environments."""
        if self.path:
            return str(Path(self.path).expanduser().absolute())
        return str(GlobalConfiguration().config_directory / "local_stores" / str(self.uuid))

    @property
    def spread(self) -> Reach:
        """Steps are other processes of this machine."""
        return Reach.HOST

    def check_deployment(self, deployment: Deployment) -> None:
        """See that this machine has what each step needs."""
        if needs := self.needs(deployment):
            capacity.refuse_unmet(
                needs,
                [capacity.here()],
                lacking=f"This machine, where the step operator '{self.name}' executes them, has less than these steps need",
                remedy="Let them ask for less, or choose a step operator of other machines.",
            )

    def launch(
        self, pipeline_name: str, run_name: str, requirements: list[str], entrypoint_command: list[str]
    ) -> None:
        """Run the command in the environment of the requirements; its output goes to this process's, line by line.

        Raises:
            ConfigurationError: a requirement is zenml itself.
            RunError: the requirements cannot be installed, or the exit code was not 0; the message shows the last lines.
        """
        python = self.environment(requirements)
        process = ShownProcess([str(python), *entrypoint_command[1:]], _environment())
        try:
            code = process.wait()
        except BaseException:
            process.end()
            raise
        if code:
            raise RunError(
                f"A step of the run '{run_name}' ended with the exit code {code} in the virtual environment "
                f"{str(python.parent.parent)!r}." + _shown(process.lines)
            )

    def jobs(self) -> JobEngine:
        """Each step is a process; its environment is made beside the others."""
        return ProcessJobs(self._prepared)

    def _prepared(self, job: Job, folder: Path) -> tuple[list[str], dict[str, str]]:
        return [str(self.environment(list(job.requirements))), *job.command[1:]], _environment()

    def environment(self, requirements: list[str]) -> Path:
        """The Python of the environment for these requirements, which is made if there is none. Raises as `launch` does."""
        wanted = sorted(set(filter(None, map(str.strip, requirements))))
        if own := [
            line for line in wanted if re.match(rf"{_PACKAGE}\s*([\[<>=!~;@ ]|$)", line, re.IGNORECASE)
        ]:
            raise ConfigurationError(
                f"The requirement {own[0]!r} names this framework itself: leave it out. Steps use the one that runs the pipeline."
            )
        folder = Path(self.local_path) / _digest(wanted)
        python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        with _locked(folder.with_suffix(".lock")):
            if not (folder / _COMPLETE).exists():
                try:
                    self._create(folder, python, wanted)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
        return python

    def _create(self, folder: Path, python: Path, requirements: list[str]) -> None:
        from venv import EnvBuilder

        try:
            EnvBuilder(clear=True, symlinks=os.name != "nt", with_pip=False).create(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RunError(f"The virtual environment {str(folder)!r} cannot be made: {error}") from error
        self._share(python)
        if requirements:
            # The running environment's pip, so that none must be put into each environment.
            command = [sys.executable, "-m", "pip", "--python", str(python), "install"]
            options = ["--disable-pip-version-check", "--no-input", "--quiet"]
            ran = subprocess.run(
                [*command, *options, "--", *requirements],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if ran.returncode:
                raise RunError(
                    f"The step operator '{self.name}' cannot install the requirements {', '.join(requirements)}."
                    + _shown(ran.stdout.splitlines()[-_SHOWN:])
                )
        (folder / _COMPLETE).touch()

    @staticmethod
    def _share(python: Path) -> None:
        """Let the environment import what this process can, after its own packages."""
        query = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = subprocess.run(
            [str(python), "-c", query], capture_output=True, text=True, check=True
        ).stdout.strip()
        # As directories of packages, so that what is installed there in editable form is found, too.
        lines = [f"import site; site.addsitedir({folder!r})" for folder in _site_folders()]
        # Wherever this package comes from: it need not be installed.
        lines.append(str(Path(__file__).resolve().parents[2]))
        (Path(packages) / "zz_running_environment.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in {"PYTHONHOME", "VIRTUAL_ENV"}}


def _site_folders() -> list[str]:
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return [folder for folder in folders if Path(folder).is_dir()]


def _digest(requirements: list[str]) -> str:
    import hashlib

    from zenml.model.json import canonical

    parts = [sys.version, sys.prefix, str(Path(__file__).resolve()), _site_folders(), requirements]
    return hashlib.sha256(canonical(parts).encode()).hexdigest()[:16]


def _shown(lines: Iterable[str]) -> str:
    shown = "".join(f"\n  {line}" for line in lines)
    return f" The last lines:{shown}" if shown else ""


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Wait as long as another process makes the environment: pip may take minutes."""
    import fcntl  # not on Windows

    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
