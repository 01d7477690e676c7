"""What the commands that people call most must not load: each of these costs as much as the whole listing may."""

import os
import subprocess
import sys

import pytest

HEAVY = {
    "alembic",
    "asyncio",
    "cloudpickle",
    "cryptography",
    "fsspec",
    "importlib.metadata",
    "json",
    "numpy",
    "pandas",
    "psutil",
    "pydantic",
    "rich.console",
    "sqlalchemy",
    "ssl",
    "subprocess",
    "tempfile",
    "typing_extensions",
    "unittest",
    "zenml.repository",
    "zenml.stack",
}
HEAVIER_THAN_HELP = {
    "rich",
    "yaml",
    "zenml.cli.component",
    "zenml.cli.profile",
    "zenml.cli.session",
    "zenml.cli.stack",
    "zenml.profiles",
    "zenml.storage",
}

PROBE = """
import sys
from zenml.cli import main
try:
    main({arguments!r}, prog_name="zenml")
except SystemExit as end:
    assert not end.code, end.code
print(*sorted(sys.modules), file=sys.stderr)
"""


def modules_after(*arguments: str) -> set[str]:
    probe = [sys.executable, "-c", PROBE.format(arguments=list(arguments))]
    environment = {**os.environ, "ZENML_ENABLE_REPO_INIT_WARNINGS": "false"}
    process = subprocess.run(probe, capture_output=True, text=True, check=True, env=environment)
    return set(process.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("stack", "list"),
        ("stack", "describe"),
        ("stack", "get"),
        ("profile", "list"),
        ("artifact-store", "list"),
        ("orchestrator", "describe"),
        ("schedule", "list"),
        ("status",),
        ("stack", "--help"),
        ("artifact-store", "register", "--help"),
    ],
    ids=" ".join,
)
def test_listing(arguments: tuple[str, ...]) -> None:
    assert not modules_after(*arguments) & HEAVY


def test_the_first_use_of_all() -> None:
    modules = modules_after("profile", "list")  # makes the default profile
    assert "zenml.profiles.profiles" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_no_command(argument: str) -> None:
    modules = modules_after(argument)
    assert "zenml.cli.root" in modules
    assert not modules & (HEAVY | HEAVIER_THAN_HELP)
