"""A pipeline whose secrets are in a vault: a step's parameter and a component's password come from there, in whatever process."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import hvac
import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from tests import remote_secrets
from tests.conftest import OpenBao
from zenml.cli import main
from zenml.enums import Reach
from zenml.exceptions import StackValidationError
from zenml.integrations.vault.secrets_managers import VaultSecretsManager
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline, running
from zenml.repository import Repository
from zenml.secrets_managers import BaseSecretsManager, LocalSecretsManager
from zenml.stack import Stack
from zenml.steps import step

TOKEN = "Canary-token/0123 äöü"
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "secrets-managers.md"

PROGRAM = """
import os

from pydantic import SecretStr

from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import step


@step(enable_cache=False)
def call(token: SecretStr) -> int:
    print("calling with", token.get_secret_value())
    registry = Repository().active_stack.container_registry
    assert registry.credentials == ("ann", token.get_secret_value())
    return os.getpid()


@pipeline
def calling():
    call(token="{{service.token}}")


if __name__ == "__main__":
    print("process", os.getpid())
    calling().run()
"""


def zenml(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def run_program() -> subprocess.CompletedProcess[str]:
    Path("program.py").write_text(PROGRAM)
    return subprocess.run(
        [sys.executable, "program.py"], capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_pipeline_with_secrets_of_a_vault(
    openbao: OpenBao, postgresql_database: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"e2e-{os.urandom(4).hex()}"
    root = hvac.Client(openbao.url, token=openbao.token)
    root.sys.enable_secrets_engine("kv", path=place, options={"version": "2"})
    monkeypatch.setenv("VAULT_TOKEN_OF_ANN", openbao.token)
    url = make_url(postgresql_database)

    for command in (
        f"secrets-manager register v --flavor=vault --url={openbao.url} --mount_point={place} --token={{{{env.VAULT_TOKEN_OF_ANN}}}}",
        "stack update default -x v",
        f"secret register database --username={url.username} --password={url.password}",
        (
            f"metadata-store register m --flavor=postgresql --host={url.host} --port={url.port} --database={url.database} "
            "--username={{database.username}} --password={{database.password}}"
        ),
        "container-registry register r --flavor=default --uri=localhost:5000 --username=ann --password={{service.token}}",
        f"orchestrator register o --flavor=local --max_workers={workers}",
        "stack update default -o o -m m -c r",
    ):
        zenml(*command.split())
    zenml("secret", "register", "service", f"--token={TOKEN}")
    ran = run_program()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "calling with ***" in ran.stdout
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert TOKEN.encode() not in path.read_bytes(), path
        assert openbao.token.encode() not in path.read_bytes(), path
    run = Repository().get_pipeline("calling").runs[-1]
    assert (f"process {run.get_step('call').output.read()}" in ran.stdout) == (workers == 1)
    assert run.get_step("call").parameters["token"] == "{{service.token}}"


def test_a_vault_that_is_gone_is_told_before_the_run(openbao: OpenBao, home: Path) -> None:
    zenml("secrets-manager", "register", "v", "--flavor=vault", "--url=http://127.0.0.1:1")
    zenml("stack", "update", "default", "-x", "v")
    ran = run_program()
    assert ran.returncode == 1
    assert "cannot use 'secret/zenml' at http://127.0.0.1:1: nothing answers there." in ran.stderr


def test_the_commands_of_the_guide(openbao: OpenBao, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that need a service, each with its address."""
    sections = re.split(r"^## ", GUIDE.read_text(), flags=re.MULTILINE)
    commands = {
        section.split("\n")[0]: re.findall(r"^(zenml .*)$", section, re.MULTILINE) for section in sections
    }
    monkeypatch.setenv("VAULT_TOKEN", openbao.token)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    zenml("init")
    with remote_secrets.moto() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        for section in ("Vault and OpenBao", "AWS Secrets Manager"):
            assert len(commands[section]) > 3
            for command in commands[section]:
                zenml(*shlex.split(command.replace("https://vault.example.org:8200", openbao.url))[1:])
    VaultSecretsManager(name="v", url=openbao.url).delete_all_secrets()


class Cluster(LocalOrchestrator):
    FLAVOR: ClassVar[str] = "cluster"

    @property
    def spread(self) -> Reach:
        return Reach.NETWORK


@step
def one() -> int:
    return 1


@pipeline
def small():
    one()


@pytest.mark.parametrize(
    ("manager", "is_refused"),
    [
        (LocalSecretsManager(name="secrets"), True),
        (VaultSecretsManager(name="secrets", url="https://vault.example.org"), False),
    ],
    ids=["local", "vault"],
)
def test_steps_on_other_machines_need_a_secrets_manager_that_they_can_reach(
    home: Path, monkeypatch: pytest.MonkeyPatch, manager: BaseSecretsManager, is_refused: bool
) -> None:
    given = Repository().active_stack
    stack = Stack(
        "far",
        orchestrator=Cluster(name="cluster"),
        metadata_store=given.metadata_store,
        artifact_store=given.artifact_store,
        secrets_manager=manager,
    )
    monkeypatch.setattr(running, "active_stack", lambda: stack)
    with pytest.raises(StackValidationError) as refused:  # for its other components in any case
        small().run()
    reason = (
        "The secrets manager 'secrets' can only be used from the same host, but the steps of the orchestrator 'cluster' run on "
        "other ones: choose a secrets manager that they can reach."
    )
    assert (reason in str(refused.value)) == is_refused
    assert Repository().get_pipelines() == []
