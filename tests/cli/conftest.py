import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zenml.cli import main
from zenml.profiles import active

Zenml = Callable[..., Result]


@pytest.fixture
def zenml(monkeypatch: pytest.MonkeyPatch) -> Zenml:
    """Runs a command as a new process would, in a terminal-less place of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str | Path, input: str | None = None) -> Result:
        monkeypatch.setattr(active, "_reported", False)
        return CliRunner().invoke(
            main, [str(argument) for argument in arguments], prog_name="zenml", input=input
        )

    return run


@pytest.fixture
def quiet(zenml: Zenml, home: Path, monkeypatch: pytest.MonkeyPatch) -> Zenml:
    """The same in a repository, past the messages of the first use."""
    monkeypatch.setenv("ZENML_ENABLE_REPO_INIT_WARNINGS", "false")
    zenml("init")
    return zenml


@contextmanager
def own_imports() -> Iterator[None]:
    """Forgets what is imported from the working directory, as the end of a process would."""
    path, main = list(sys.path), sys.modules["__main__"]
    try:
        yield
    finally:
        sys.path[:] = path
        sys.modules["__main__"] = main
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(str(Path.cwd())):
                del sys.modules[name]
