"""Clusters of Ray that are started from here, and what is left of them."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.guides import run_guide
from zenml.enums import Reach
from zenml.exceptions import ConfigurationError
from zenml.integrations.ray.orchestrators import RayOrchestrator

# The start of a cluster counts, which may take a minute on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files lie; its name is short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def left(place: Path) -> list[object]:
    """Processes that know the folder, and what lies in it."""
    found = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    return [line for line in found if line and str(place) in " ".join(line)] + list(place.iterdir())


def test_a_program_that_runs_a_pipeline_leaves_nothing_behind(tmp_path: Path, place: Path) -> None:
    """On a cluster of its own, from a script that defines its steps itself."""
    script = tmp_path / "program.py"
    script.write_text(
        """
import psutil
from zenml.integrations.ray.orchestrators import RayOrchestrator
from zenml.pipelines import pipeline
from zenml.steps import step
from zenml.testing.isolation import isolated_stack

@step
def one() -> int:
    return 1

@step
def two(value: int) -> int:
    return value + 1

@pipeline
def counting():
    two(one())

if __name__ == "__main__":
    with isolated_stack(orchestrator=RayOrchestrator(name="ray", max_workers=2)):
        print("read", counting().run().get_step("two").output.read())
        print("left", psutil.Process().children(recursive=True))
"""
    )
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=110, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-2:] == ["read 2", "left []"]
    assert "raylet" not in ended.stdout + ended.stderr
    assert left(place) == []


def test_the_guide_starts_and_ends_a_cluster(place: Path) -> None:
    printed = run_guide("ray")
    assert any(text.endswith("14\n") for text in printed)
    assert left(place) == []


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        (None, Reach.HOST),
        ("127.0.0.2:6379", Reach.HOST),
        ("ray://localhost:10001", Reach.HOST),
        ("ray://[::1]:10001", Reach.HOST),
        ("10.0.0.5:6379", Reach.NETWORK),
        ("ray://head.example.org:10001", Reach.NETWORK),
    ],
)
def test_an_address_says_how_far_steps_are_spread(address: str | None, reach: Reach) -> None:
    assert RayOrchestrator(name="ray", address=address).spread is reach


@pytest.mark.parametrize("address", ["", "nowhere", "ray://host", "host:port", "tcp://10.0.0.5:6379"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="expected one as ray://10.0.0.5:10001 or 10.0.0.5:6379"):
        RayOrchestrator(name="ray", address=address)


def test_a_cluster_with_an_address_is_not_one_that_is_started_from_here() -> None:
    with pytest.raises(ConfigurationError, match="leave out `shared`"):
        RayOrchestrator(name="ray", address="10.0.0.5:6379", shared=True)
