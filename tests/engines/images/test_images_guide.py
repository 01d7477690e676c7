"""The commands of docs/guide/images.md work."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.docker_engine import DockerEngine
from zenml.images.build import DEFAULT_BASE

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "images.md"
_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_guide(docker_host: DockerEngine, monkeypatch):
    monkeypatch.setenv("REGISTRY_TOKEN", "unused")
    with docker_host.client() as client:
        # No other registry can be reached here: what the engine has under that name is not pulled.
        client.images.get(docker_host.base_image).tag(DEFAULT_BASE)
    printed = []
    for language, text in _BLOCK.findall(PAGE.read_text()):
        if language == "python":
            Path(text.split()[2]).write_text(text)
            continue
        for line in text.splitlines():
            command = shlex.split(line)
            own = ["-c", "from zenml.cli import main; main(prog_name='zenml')"]
            program = [sys.executable, *([] if command[0] == "python" else own)]
            done = subprocess.run(
                [*program, *command[1:]], capture_output=True, text=True, check=False, timeout=100
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            printed.append(done)
    runs = [done for done in printed if done.args[1] == "pipeline.py"]
    assert [done.stdout.splitlines()[-1] for done in runs] == ["2", "2"]
    assert "is unchanged." not in runs[0].stderr
    assert "is unchanged." in runs[1].stderr
