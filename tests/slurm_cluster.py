"""A real Slurm cluster for tests: a controller, two nodes of two CPUs each, and one that may fail, on this machine.

It is kept and ended as `tests/services.py` does with its servers.

The fixture `slurm` of tests/engines/slurm gives the path of its configuration, which Slurm's programs find by the variable SLURM_CONF.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # where this is run as a program

from tests import services
from tests.services import START_SECONDS, STOP_SECONDS, DatabaseServer, ServiceFailedError, free_port

NODES = ("one", "two", "three")

CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=10000,bf_interval=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/%n.log
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
DefMemPerCPU=100
Licenses=license:2
GresTypes=gpu
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={port_one} CPUs=2 RealMemory=1000
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={port_two} CPUs=2 RealMemory=2000 Gres=gpu:1
NodeName=three NodeHostname={host} NodeAddr=127.0.0.1 Port={port_three} CPUs=1 RealMemory=1000
PartitionName=main Nodes=one,two Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=one MaxTime=1 State=UP
PartitionName=spare Nodes=three MaxTime=INFINITE State=UP
"""


class SlurmServer(DatabaseServer):
    name = "slurm"
    package = "slurmctld, slurmd, slurm-client and munge"

    @property
    def url(self) -> str:
        """The path of the configuration."""
        return str(self.directory / "slurm.conf")

    def find_programs(self) -> None:
        self._programs = {name: self.program(name) for name in ("munged", "slurmctld", "slurmd", "sbatch")}

    def initialize(self) -> None:
        (self.directory / "state").mkdir()
        for node in NODES:
            (self.directory / f"spool-{node}").mkdir()
        key = self.directory / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        (self.directory / "gres.conf").write_text("NodeName=two Name=gpu File=/dev/null\n")
        Path(self.url).write_text(
            CONFIGURATION.format(
                host=socket.gethostname().partition(".")[0],
                user=getpass.getuser(),
                folder=self.directory,
                port=free_port(),
                port_one=free_port(),
                port_two=free_port(),
                port_three=free_port(),
            )
        )

    def command(self) -> list[str]:
        """The controller."""
        return [self._programs["slurmctld"], "-D"]

    def start(self) -> None:
        self.find_programs()
        self.directory.mkdir(mode=0o711)
        self.initialize()
        files = {"key": "key", "socket": "sock", "pid": "pid", "seed": "seed", "log": "log"}
        munged = [
            f"--{name}{'' if name == 'socket' else '-file'}={self.directory}/munge.{ending}"
            for name, ending in files.items()
        ]
        self.processes = [self._start(self._programs["munged"], "--foreground", *munged)]
        self._wait_for((self.directory / "munge.sock").exists)
        self.processes.append(self._start(*self.command()))
        self.processes += [self._start(self._programs["slurmd"], "-D", "-N", node) for node in NODES]
        self._wait_for(self.answers)

    def answers(self) -> bool:
        told = self._ask("sinfo", "--noheader", "--Node", "--format=%N %T", "--partition=main,spare")
        return sorted(told.split()) == sorted([*NODES, *["idle"] * len(NODES)])

    def stop(self) -> None:
        if getattr(self, "processes", None):
            self._ask("scancel", f"--user={getpass.getuser()}")
            deadline = time.monotonic() + STOP_SECONDS
            while self._ask("squeue", "--noheader").strip() and time.monotonic() < deadline:
                time.sleep(0.1)
            for process in reversed(self.processes):
                process.terminate()
            for process in self.processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
                process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=self._environment(),
                start_new_session=True,
            )

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                raise ServiceFailedError(f"Slurm did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)

    def _ask(self, *command: str) -> str:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment())
        return ended.stdout

    def _environment(self) -> dict[str, str]:
        return {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin", "SLURM_CONF": self.url}


services.SERVERS["slurm"] = SlurmServer


if __name__ == "__main__":
    services.keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
