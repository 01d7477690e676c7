"""`zenml integration`, in an environment of its own and with packages from a folder: nothing is fetched."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import zenml
from tests.cli.conftest import Zenml
from zenml.exceptions import IntegrationError
from zenml.stack import packages
from zenml.stack.integrations import integrations

Run = Callable[..., subprocess.CompletedProcess[str]]

MANIFEST = """
from zenml.stack import Integration
BIRDS = Integration("birds", requirements=("tweety[song]>=2", "nest"))
BEES = Integration("bees", requirements=("hive", "nest", "zenml>=0"))
GHOSTS = Integration("ghosts", requirements=("no-such-package>=1",))
"""


def wheel(folder: Path, name: str, version: str, *metadata: str) -> None:
    information = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{information}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(
            f"{information}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            f"{information}/RECORD",
            f"{name}.py,,\n{information}/METADATA,,\n{information}/WHEEL,,\n{information}/RECORD,,\n",
        )


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel(folder, "tweety", "1.0")
    wheel(
        folder,
        "tweety",
        "2.1",
        "Provides-Extra: song",
        "Requires-Dist: lark>=3; extra == 'song'",
        "Requires-Dist: egg",
    )
    for name in ("egg", "nest", "hive"):
        wheel(folder, name, "1.0")
    wheel(folder, "lark", "3.0")
    wheel(folder, "greedy", "1.0", "Requires-Dist: zenml>=99")
    return folder


@pytest.fixture
def run(tmp_path: Path, wheels: Path, home: Path) -> Run:
    """Runs a command in an environment that sees this one's packages, and can change its own only."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=False)
    site = next(place.glob("lib/python*/site-packages"))
    seen = dict.fromkeys(
        [*(str(Path(package).parent) for package in zenml.__path__), sysconfig.get_path("purelib")]
    )
    (site / "outer.pth").write_text("\n".join(seen))
    (site / "outside_manifest.py").write_text(MANIFEST)
    information = site / "outside-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[zenml.integrations]\n"
        + "".join(f"{name.lower()} = outside_manifest:{name}\n" for name in ("BIRDS", "BEES", "GHOSTS"))
    )
    python = str(place / "bin" / "python")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))},
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": str(wheels),
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [
            python,
            "-c",
            "from zenml.cli import main; main(prog_name='zenml')",
            "integration",
            *arguments,
        ]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL
        )

    return run


def said(result: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return result.returncode, result.stdout, result.stderr


def state(run: Run, name: str) -> dict:
    return next(one for one in json.loads(run("list", "-o", "json").stdout) if one["name"] == name)


def test_what_is_in_the_tree_is_listed(zenml: Zenml) -> None:
    listed = json.loads(zenml("integration", "list", "-o", "json").stdout)
    assert [one["name"] for one in listed] == sorted(one.name for one in integrations())
    assert {
        "name": "sklearn",
        "installed": True,
        "requirements": ["scikit-learn>=1.5", "skops>=0.11"],
    } in listed


def test_all_that_there_is_to_an_integration(run: Run) -> None:
    assert said(run("requirements", "birds")) == (
        0,
        (
            "┏━━━━━━━━━━━━━┯━━━━━━━━━━━━━━━━━┯━━━━━━━━━━━┓\n"
            "┃ INTEGRATION │ REQUIREMENT     │ INSTALLED ┃\n"
            "┠─────────────┼─────────────────┼───────────┨\n"
            "┃ birds       │ tweety[song]>=2 │ ❌        ┃\n"
            "┃ birds       │ nest            │ ❌        ┃\n"
            "┗━━━━━━━━━━━━━┷━━━━━━━━━━━━━━━━━┷━━━━━━━━━━━┛\n"
            "Not met: nest\n"
            "Not met: tweety[song]>=2\n"
        ),
        "",
    )
    assert said(run("install", "birds")) == (
        2,
        "",
        (
            "Usage: zenml integration install [OPTIONS] [INTEGRATION]...\n"
            "Try 'zenml integration install --help' for help.\n\n"
            "Error: This will install tweety[song]>=2, nest. Continue? There is no terminal to answer on: give --yes.\n"
        ),
    )
    assert said(run("install", "birds", "--yes")) == (0, "Installed what is needed for 'birds'.\n", "")
    assert said(run("install", "birds", "--yes")) == (
        0,
        "All required packages for integration 'birds' are already installed.\n",
        "",
    )
    assert state(run, "birds")["installed"]
    assert said(run("export-requirements", "--installed-only", "birds", "bees")) == (
        0,
        "tweety[song]>=2\nnest\n",
        "",
    )

    assert said(run("install", "bees", "-y")) == (0, "Installed what is needed for 'bees'.\n", "")
    # Both need the nest.
    assert said(run("uninstall", "birds", "-y")) == (
        0,
        "The package 'nest' is kept: the integration 'bees' needs it.\nRemoved tweety.\n",
        "",
    )
    assert not state(run, "birds")["installed"]
    assert said(run("uninstall", "birds", "-y")) == (
        0,
        "The package 'nest' is kept: the integration 'bees' needs it.\nThere is nothing to remove.\n",
        "",
    )
    assert said(run("uninstall", "bees", "-y")) == (0, "Removed hive, nest.\n", "")


def test_uv_does_the_same(run: Run) -> None:
    assert said(run("install", "birds", "--uv", "-y")) == (0, "Installed what is needed for 'birds'.\n", "")
    assert said(run("uninstall", "birds", "--uv", "-y")) == (0, "Removed nest, tweety.\n", "")
    assert not state(run, "birds")["installed"]


def test_an_older_version_or_a_missing_extra_is_not_installed(run: Run, tmp_path: Path) -> None:
    site = next((tmp_path / "environment").glob("lib/python*/site-packages"))
    information = site / "tweety-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tweety\nVersion: 1.0\n")
    missing = json.loads(run("requirements", "birds", "-o", "json").stdout)[0]["missing"]
    assert missing == ["nest", "tweety[song]>=2 (1.0 is installed)"]
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tweety\nVersion: 2.0\nProvides-Extra: song\nRequires-Dist: lark>=3; extra == 'song'\n"
    )
    missing = json.loads(run("requirements", "birds", "-o", "json").stdout)[0]["missing"]
    assert missing == ["nest", "tweety[song]>=2 (without lark)"]


def test_what_cannot_be_installed_says_why(run: Run) -> None:
    code, out, error = said(run("install", "ghosts", "-y"))
    assert (code, out) == (1, "")
    assert error.startswith("Error: pip ended with exit code 1. Its last lines:\n")
    assert error.endswith("ERROR: No matching distribution found for no-such-package>=1\n")
    code, _, error = said(run("install", "ghosts", "-y", "--uv"))
    assert code == 1
    assert error.startswith("Error: uv ended with exit code 1. Its last lines:\n")
    assert "no-such-package" in error


def test_the_framework_itself_is_never_installed(run: Run, wheels: Path, tmp_path: Path) -> None:
    wheel(wheels, "zenml", "99.0")
    assert run("install", "bees", "-y").returncode == 0
    site = next((tmp_path / "environment").glob("lib/python*/site-packages"))
    (site / "outside_manifest.py").write_text(MANIFEST.replace("no-such-package>=1", "greedy"))
    code, _, error = said(run("install", "ghosts", "-y"))
    assert code == 1
    assert "zenml>=99" in error
    assert not list(site.glob("zenml*"))


def test_an_unknown_name_is_answered_with_the_nearest(zenml: Zenml) -> None:
    for command in (["install", "-y"], ["uninstall", "-y"], ["requirements"], ["export-requirements"]):
        result = zenml("integration", *command, "sklern")
        assert (result.exit_code, result.stdout, result.stderr) == (
            1,
            "",
            "Error: There is no integration 'sklern'. Did you mean 'sklearn'?\n",
        )


def test_no_means_no(zenml: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenml.cli.terminal.has_keyboard", lambda: True)
    monkeypatch.setattr(packages, "missing_packages", list)
    result = zenml("integration", "install", "sklearn", input="n\n")
    assert (result.exit_code, result.stdout) == (
        0,
        "This will install scikit-learn>=1.5, skops>=0.11. Continue? [y/N]: n\nInstallation canceled.\n",
    )


def test_a_file_is_not_overwritten_unasked(zenml: Zenml, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    export = ("integration", "export-requirements", "sklearn", "--output-file", file)
    assert zenml(*export).stdout == f"Exported the requirements of 'sklearn' to '{file}'.\n"
    assert file.read_text() == "scikit-learn>=1.5\nskops>=0.11\n"
    refused = zenml(*export)
    assert (refused.exit_code, refused.stderr) == (
        1,
        f"Error: The file '{file}' exists: give another one, or --overwrite.\n",
    )
    assert zenml(*export, "--overwrite").exit_code == 0


def test_without_pip_uv_installs_and_without_both_there_is_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: "/opt/uv")
    commands: list[list[str]] = []
    monkeypatch.setattr(packages, "_run", commands.append)
    packages.uninstall(["tweety"])
    assert commands == [["/opt/uv", "pip", "uninstall", "--python", sys.executable, "tweety"]]
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(
        IntegrationError, match="Neither pip nor uv is there to uninstall packages with. .* -m ensurepip"
    ):
        packages.uninstall(["tweety"])
