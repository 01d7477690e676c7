"""What a deployment refers to and is not there."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from zenml.alerters import WebhookAlerter
from zenml.model.deployment import Deployment, StepSpec
from zenml.repository import Repository
from zenml.secret import ArbitrarySecretSchema
from zenml.secrets_managers import LocalSecretsManager
from zenml.stack import Stack
from zenml.stack.secrets import missing_secrets


def deployment(stack: Stack) -> Deployment:
    step = StepSpec(
        name="train",
        source="steps:train",
        entrypoint_name="train",
        parameters={"token": "{{service.token}}", "text": "{{no.reference}}"},
        each={"key": ["{{service.key}}", "{{env.MISSING_KEY}}"]},
        secrets=("token", "key"),
    )
    return Deployment("training", "run", uuid4(), (step,), stack.to_spec([]), secrets=("declared",))


def stack_of(manager: LocalSecretsManager | None) -> Stack:
    given = Repository().active_stack
    return Stack(
        "guarded",
        orchestrator=given.orchestrator,
        metadata_store=given.metadata_store,
        artifact_store=given.artifact_store,
        secrets_manager=manager,
        alerter=WebhookAlerter(name="chat", url="https://{{chat.host}}/hook"),
    )


def test_all_that_is_missing_is_named_with_its_purpose(home: Path) -> None:
    manager = LocalSecretsManager(name="vault")
    manager.register_secret(ArbitrarySecretSchema(name="service", token="hidden"))  # type: ignore[call-arg]
    stack = stack_of(manager)
    of_steps = [
        "the secret 'declared', for the pipeline 'training'",
        "the key 'key' of the secret 'service', for the parameter 'key' of the step 'train'",
        "the environment variable 'MISSING_KEY', for the parameter 'key' of the step 'train'",
    ]
    assert sorted(missing_secrets(deployment(stack), stack, of_components=False)) == sorted(of_steps)
    of_alerter = "the secret 'chat', for the alerter 'chat'"
    assert sorted(missing_secrets(deployment(stack), stack)) == sorted([of_alerter, *of_steps])


def test_nothing_is_missing_when_all_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = LocalSecretsManager(name="vault")
    for name, content in (
        ("service", {"token": "t", "key": "k"}),
        ("declared", {"x": "y"}),
        ("chat", {"host": "h"}),
    ):
        manager.register_secret(ArbitrarySecretSchema(name=name, **content))
    monkeypatch.setenv("MISSING_KEY", "value")
    stack = stack_of(manager)
    assert missing_secrets(deployment(stack), stack) == []


def test_without_a_secrets_manager_that_is_said(home: Path) -> None:
    stack = stack_of(None)
    assert (
        "the secret 'declared', for the pipeline 'training' (the stack 'guarded' has no secrets manager)"
        in (missing_secrets(deployment(stack), stack))
    )


def test_a_manager_that_does_not_answer_is_not_asked_again(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "damaged"
    file.write_text("no secrets at all")
    stack = stack_of(LocalSecretsManager(name="vault", secrets_file=str(file)))
    assert missing_secrets(deployment(stack), stack) == []
