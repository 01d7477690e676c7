"""The search for hyper-parameters of the examples: killed in the middle, and gone on with."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from zenml.repository import Repository

EXAMPLE = Path(__file__).parents[2] / "examples" / "search" / "run.py"
SETTINGS = 50


def trained(name: str | None = None) -> tuple[str, list[Any]]:
    """The run of that name, or the last one, and those instances that it has trained itself."""
    found = Repository().get_pipeline("search")
    if found is None or not found.runs:
        return "", []
    run = found.get_run(name) if name else found.runs[-1]
    return run.name, [view for view in run.get_step("train").instances if view.is_completed]


def test_a_killed_search_goes_on_where_it_was() -> None:
    with Path("search.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, EXAMPLE], stdout=log, stderr=log, start_new_session=True)
    end = time.monotonic() + 120
    while len(trained()[1]) < 10:
        assert process.poll() is None, Path("search.log").read_text()
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.wait()
    name, before = trained()
    assert str(Repository().get_pipeline("search").get_run(name).status) == "crashed"

    done = subprocess.run([sys.executable, EXAMPLE, name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    _, after = trained(f"{name}-resumed")
    assert len(before) + len(after) == SETTINGS
    assert f"trained:   {len(after)} of {SETTINGS}" in done.stdout
    best = Repository().get_pipeline("search").get_run(f"{name}-resumed").get_step("best")
    assert best.outputs["accuracy"].read() > 0.95
