"""A secret that a step prints, logs, raises and hands on stays secret: every byte that its run wrote is searched for it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from pydantic import SecretStr

from zenml.exceptions import SecretError
from zenml.experiment_trackers import LocalExperimentTracker
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.secret import ArbitrarySecretSchema
from zenml.secrets_managers import LocalSecretsManager
from zenml.stack import Stack
from zenml.steps import BaseStepConfig, step

KEPT = 'Canary-kept/1+2 "quoted" für alle'
GIVEN = "Canary_given.XyZ-0123456789=="
FROM_ENVIRONMENT = "canary:environment:\\Q42\\end"
CANARIES = (KEPT, GIVEN, FROM_ENVIRONMENT)

PROGRAM = r"""
import base64, json, logging, os, subprocess, sys, time, warnings
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import BaseStepConfig, StepContext, step

logging.basicConfig(level=logging.INFO)


class Access(BaseStepConfig):
    key: SecretStr


def forms(value):
    data = value.encode()
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    for before in ("", "a", "ab"):
        yield base64.b64encode(before.encode() + data + b"after").decode()
        yield base64.urlsafe_b64encode(before.encode() + data).decode()
    yield json.dumps({"value": value})
    yield json.dumps([value], ensure_ascii=False)
    yield repr(value)
    yield data.hex()


def tell(value, context):
    for form in forms(value):
        print("printed:", form)
        print("to stderr:", form, file=sys.stderr)
        logging.info("logged: %s", form)
    warnings.warn(f"warned: {value}")
    for part in (value[:7], value[7:]):
        sys.stdout.write(part)
        sys.stdout.flush()
        time.sleep(0.15)
    print()
    sys.stdout.buffer.write(value.encode()[:9])
    sys.stdout.buffer.write(value.encode()[9:])
    print(f"\r{value}\rprogress")
    os.environ["CANARY"] = value
    done = subprocess.run([sys.executable, "-c", "import os; print(os.environ['CANARY'])"], stdout=subprocess.PIPE)
    print(done.stdout.decode())
    if len(sys.argv) and os.environ.get("IN_A_WORKER"):
        subprocess.run([sys.executable, "-c", "import os; print('child', os.environ['CANARY'])"])
        os.write(2, value.encode())
    context.stack.experiment_tracker.log_params({value: f"it is {value}"})
    context.stack.experiment_tracker.log_metrics({value: 1.0})


@step
def leak(token: SecretStr, access: Access, context: StepContext) -> int:
    assert "Canary" not in repr(token)
    kept = Repository().active_stack.secrets_manager.get_secret("service").content["password"]
    for value in (kept, token.get_secret_value(), access.key.get_secret_value()):
        tell(value, context)
    return len(token.get_secret_value())


@step
def fail(number: int, token: SecretStr, access: Access, context: StepContext) -> None:
    kept = context.stack.secrets_manager.get_secret("service").content["password"]
    try:
        raise KeyError(kept)
    except KeyError as error:
        values = (kept, token.get_secret_value(), access.key.get_secret_value())
        raise ValueError(values, json.dumps(values), *map(quote, values)) from error


@pipeline
def leaking():
    access = Access(key="{{env.CANARY_FROM_ENVIRONMENT}}")
    fail(leak(access, token="{{service.token}}"), access, token="{{service.token}}")


if __name__ == "__main__":
    leaking().run(run_name="leaking")
"""


def traces(value: str) -> list[bytes]:
    """What a search for the value has to look for."""
    data = value.encode()
    found = [data, quote(value, safe="").encode(), quote_plus(value).encode(), data.hex().encode()]
    found += [json.dumps(value)[1:-1].encode(), repr(value)[1:-1].encode()]
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.append(encode(b"\0" * before + data)[(8 * before + 5) // 6 : 8 * (before + len(data)) // 6])
    return found


def search(what: str, content: bytes) -> list[str]:
    return [f"{what}: {value}" for value in CANARIES for trace in traces(value) if trace in content]


@pytest.fixture
def stack(home: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    repository = Repository()
    given = repository.active_stack
    stack = Stack(
        "guarded",
        orchestrator=given.orchestrator,
        metadata_store=given.metadata_store,
        artifact_store=given.artifact_store,
        secrets_manager=LocalSecretsManager(name="vault"),
        experiment_tracker=LocalExperimentTracker(name="tracker"),
    )
    stack.secrets_manager.register_secret(  # type: ignore[union-attr]
        ArbitrarySecretSchema(name="service", password=KEPT, token=GIVEN)
    )
    repository.register_stack(stack)
    repository.activate_stack("guarded")
    monkeypatch.setenv("CANARY_FROM_ENVIRONMENT", FROM_ENVIRONMENT)
    return stack


@pytest.mark.parametrize(("how", "workers"), [("script", 1), ("script", 2), ("command", 1)])
def test_no_byte_that_a_run_wrote_holds_a_secret(
    stack: Stack, tmp_path: Path, how: str, workers: int
) -> None:
    if workers > 1:
        repository = Repository()
        parallel = LocalOrchestrator(name="parallel", max_workers=workers)
        repository.register_stack_component(parallel)
        components = {**stack.components, parallel.TYPE: parallel}
        repository.update_stack("guarded", Stack.from_components("guarded", components))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program)]
    if how == "command":
        command = [str(Path(sys.executable).with_name("zenml")), "pipeline", "run", str(program)]
    environment = {**os.environ, "IN_A_WORKER": "yes" if workers > 1 else "", "TMPDIR": str(tmp_path)}
    ran = subprocess.run(
        command, capture_output=True, env=environment, cwd=tmp_path, timeout=120, check=False
    )

    assert ran.returncode == 1
    shown = (ran.stdout + ran.stderr).decode()
    assert "ValueError: (('***', '***', '***'), " in shown
    found = search("terminal", ran.stdout + ran.stderr)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]  # the home is in it
    for path in files:
        found += search(str(path), path.read_bytes())
    assert found == []

    run = Repository().get_pipeline("leaking").runs[-1]
    leak, fail = run.get_step("leak"), run.get_step("fail")
    assert leak.output.read() == len(GIVEN)
    assert leak.parameters == {"token": "{{service.token}}", "key": "{{env.CANARY_FROM_ENVIRONMENT}}"}
    assert leak.logged_parameters == {"***": "it is ***"}
    assert fail.error is not None
    assert fail.error.message.startswith("(('***', '***', '***'")
    assert leak.logs is not None
    assert leak.logs.count("printed: ***") >= 9
    assert ("child ***" in leak.logs) == (workers > 1)
    assert any(path.name == "secrets.encrypted" for path in files)


class Access(BaseStepConfig):
    key: SecretStr
    level: int = 1


@step
def show_lengths(token: SecretStr, access: Access) -> list[int]:
    return [len(token.get_secret_value()), len(access.key.get_secret_value())]


@pipeline
def showing(token: str, key: str) -> None:
    show_lengths(Access(key=key), token=token)  # type: ignore[arg-type]  # the text of a reference


def test_a_step_gets_what_its_parameters_refer_to(stack: Stack) -> None:
    assert stack.secrets_manager is not None
    showing("{{service.token}}", "{{env.CANARY_FROM_ENVIRONMENT}}").run()
    run = showing("{{service.token}}", "{{env.CANARY_FROM_ENVIRONMENT}}").run()
    view = run.get_step("show_lengths")
    assert view.is_cached  # by the text of the references
    assert view.output.read() == [len(GIVEN), len(FROM_ENVIRONMENT)]


def test_missing_secrets_are_found_before_the_run(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANARY_FROM_ENVIRONMENT")
    with pytest.raises(SecretError) as refused:
        showing("{{service.tokn}}", "{{env.CANARY_FROM_ENVIRONMENT}}").run()
    assert (
        "the key 'tokn' of the secret 'service', for the parameter 'token' of the step 'show_lengths'"
        in str(refused.value)
    )
    assert (
        "the environment variable 'CANARY_FROM_ENVIRONMENT', for the parameter 'key' of the step 'show_lengths'"
        in str(refused.value)
    )
    with pytest.raises(SecretError, match="the secret 'absent', for the parameter 'token'"):
        showing("{{absent.token}}", "{{service.token}}").run()
    assert Repository().get_pipeline("showing") is None


def test_a_secret_that_vanishes_is_said_by_the_step(stack: Stack) -> None:
    @step
    def drop() -> int:
        assert stack.secrets_manager is not None
        stack.secrets_manager.delete_secret("service")
        return 1

    @step
    def use(number: int, token: SecretStr) -> None: ...

    @pipeline
    def dropping() -> None:
        use(drop(), token="{{service.token}}")

    with pytest.raises(SecretError, match=r"'\{\{service.token\}\}' cannot be resolved"):
        dropping().run()
