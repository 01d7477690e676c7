"""The quickstart, as a user starts it, on stacks that keep their records in different places."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

EXAMPLE = Path(__file__).parents[2] / "examples" / "quickstart"
ZENML = str(Path(sys.executable).with_name("zenml"))


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def quickstart() -> str:
    output = run(sys.executable, str(EXAMPLE / "run.py"))
    accuracy = float(output.split("accuracy:")[1].split()[0])
    assert accuracy > 0.9
    assert "first run:      completed, taken from the cache: nothing" in output
    assert "second run:     completed, taken from the cache: load, split, train, evaluate" in output
    return output


def test_on_the_default_stack(tmp_path: Path) -> None:
    run(ZENML, "init")
    output = quickstart()
    assert str(tmp_path / "home") in output


@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_on_a_database(database: str, request: pytest.FixtureRequest) -> None:
    profiles_url = request.getfixturevalue(f"{database}_database")
    url = make_url(profiles_url)
    flavor = "postgresql" if database == "postgresql" else "mysql"
    run(ZENML, "profile", "create", "team", "--store-type", "sql", "--url", profiles_url)
    run(ZENML, "profile", "set", "team")
    fields = {"host": url.host, "port": url.port, "database": url.database, "username": url.username}
    run(
        ZENML, "metadata-store", "register", "shared", f"--flavor={flavor}",
        *(f"--{name}={value}" for name, value in fields.items()),
        "--password={{env.DATABASE_PASSWORD}}",
    )  # fmt: skip
    run(ZENML, "stack", "register", "shared", "-o", "default", "-a", "default", "-m", "shared")
    run(ZENML, "stack", "set", "shared")
    os.environ["DATABASE_PASSWORD"] = url.password or ""
    try:
        output = quickstart()
        assert "stack:          shared" in output
        listed = run(ZENML, "pipeline", "runs", "list")
    finally:
        del os.environ["DATABASE_PASSWORD"]
    assert listed.count("digits_pipeline") >= 2
    assert (url.password or "?") not in output + listed
