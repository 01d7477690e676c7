"""`zenml stack check`, and `zenml stack down` where a flavor is gone."""

import json
from pathlib import Path

from tests.cli.conftest import Zenml, own_imports

HEADER = "Running with active profile: 'default' (local)\n"

HEALTHY = """\
┏━━━━━━━━━━━━━━━━┯━━━━━━━━━┯━━━━━━━━┯━━━━━━━━━━━━━━━┯━━━━━━━━┓
┃ COMPONENT_TYPE │ NAME    │ FLAVOR │ CHECK         │ RESULT ┃
┠────────────────┼─────────┼────────┼───────────────┼────────┨
┃ ARTIFACT_STORE │ default │ local  │ running       │ ✅ ok  ┃
┃ ARTIFACT_STORE │ default │ local  │ writes        │ ✅ ok  ┃
┃ ARTIFACT_STORE │ default │ local  │ reads         │ ✅ ok  ┃
┃ ARTIFACT_STORE │ default │ local  │ lists         │ ✅ ok  ┃
┃ ARTIFACT_STORE │ default │ local  │ clock         │ ✅ ok  ┃
┃ ARTIFACT_STORE │ default │ local  │ deletes       │ ✅ ok  ┃
┃ METADATA_STORE │ default │ sqlite │ running       │ ✅ ok  ┃
┃ METADATA_STORE │ default │ sqlite │ folder        │ ✅ ok  ┃
┃ ORCHESTRATOR   │ default │ local  │ running       │ ✅ ok  ┃
┃ STACK          │ default │        │ fits together │ ✅ ok  ┃
┗━━━━━━━━━━━━━━━━┷━━━━━━━━━┷━━━━━━━━┷━━━━━━━━━━━━━━━┷━━━━━━━━┛
"""

FLAVOR = """
from typing import ClassVar
from pathlib import Path
from zenml.alerters import BaseAlerter
from zenml.exceptions import ProvisioningError

class Bell(BaseAlerter):
    FLAVOR: ClassVar[str] = "bell"
    fails: bool = False

    def post(self, message, config=None):
        Path("posted").touch()
        return True

    @property
    def is_provisioned(self):
        return Path(self.name).exists()

    @property
    def is_running(self):
        return self.is_provisioned and Path(self.name).read_text() == "runs"

    def provision(self):
        Path(self.name).write_text("stopped")

    def resume(self):
        Path(self.name).write_text("runs")

    def suspend(self):
        if self.fails:
            raise ProvisioningError("The bell cannot be stopped.")
        Path(self.name).write_text("stopped")

    def deprovision(self):
        Path(self.name).unlink()
"""


def test_a_healthy_stack(quiet: Zenml) -> None:
    result = quiet("stack", "check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, HEADER + HEALTHY, "")


def test_one_that_is_not_active_and_cannot_write(quiet: Zenml, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    quiet("artifact-store", "register", "shut", "-f", "local", f"--path={tmp_path}/file/values")
    quiet("stack", "register", "shut", "-a", "shut", "-m", "default", "-o", "default")
    result = quiet("stack", "check", "shut")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout == (
        f"{HEADER}"
        "┏━━━━━━━━━━━━━━━━┯━━━━━━━━━┯━━━━━━━━┯━━━━━━━━━━━━━━━┯━━━━━━━━━━━┓\n"
        "┃ COMPONENT_TYPE │ NAME    │ FLAVOR │ CHECK         │ RESULT    ┃\n"
        "┠────────────────┼─────────┼────────┼───────────────┼───────────┨\n"
        "┃ ARTIFACT_STORE │ shut    │ local  │ running       │ ✅ ok     ┃\n"
        "┃ ARTIFACT_STORE │ shut    │ local  │ writes        │ ❌ failed ┃\n"
        "┃ METADATA_STORE │ default │ sqlite │ running       │ ✅ ok     ┃\n"
        "┃ METADATA_STORE │ default │ sqlite │ folder        │ ✅ ok     ┃\n"
        "┃ ORCHESTRATOR   │ default │ local  │ running       │ ✅ ok     ┃\n"
        "┃ STACK          │ shut    │        │ fits together │ ✅ ok     ┃\n"
        "┗━━━━━━━━━━━━━━━━┷━━━━━━━━━┷━━━━━━━━┷━━━━━━━━━━━━━━━┷━━━━━━━━━━━┛\n"
        f"Artifact store 'shut', writes: Not a directory: {tmp_path}/file/values. "
        f"May this user write below '{tmp_path}/file/values', and is there room?\n"
    )
    result = quiet("stack", "check", "shut", "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)[1] == {
        "type": "artifact_store",
        "name": "shut",
        "flavor": "local",
        "check": "writes",
        "outcome": "failed",
        "message": f"Not a directory: {tmp_path}/file/values.",
        "remedy": f"May this user write below '{tmp_path}/file/values', and is there room?",
    }


def test_an_unknown_stack(quiet: Zenml) -> None:
    result = quiet("stack", "check", "defalt")
    assert (result.exit_code, result.stdout) == (1, HEADER)
    assert "Did you mean 'default'?" in result.stderr


def bells(quiet: Zenml, **fields: str) -> None:
    Path("bells.py").write_text(FLAVOR)
    quiet("alerter", "flavor", "register", "bells.Bell")
    quiet(
        "alerter", "register", "bell", "-f", "bell", *(f"--{name}={value}" for name, value in fields.items())
    )
    quiet("stack", "update", "-al", "bell")


def test_up_and_down(quiet: Zenml) -> None:
    with own_imports():
        bells(quiet)
        result = quiet("stack", "check")
        assert result.exit_code == 1
        assert result.stdout.endswith(
            "Alerter 'bell', running: Its resources are not there. Start it with `zenml stack up`.\n"
        )
        assert quiet("stack", "up").stdout == (
            f"{HEADER}Provisioning resources for active stack 'default'.\n"
            "Provisioning resources for alerter 'bell'.\nResuming resources for alerter 'bell'.\n"
        )
        assert quiet("stack", "check").exit_code == 0
        assert not Path("posted").exists()
        assert quiet("stack", "down").stdout == (
            f"{HEADER}Suspending resources for active stack 'default'.\nSuspending resources for alerter 'bell'.\n"
        )
        assert quiet("stack", "check").stdout.endswith(
            "running: It is not running. Start it with `zenml stack up`.\n"
        )
        assert quiet("stack", "down", "--force").stdout == (
            f"{HEADER}Deprovisioning resources for active stack 'default'.\nDeprovisioning resources for alerter 'bell'.\n"
        )
        assert not Path("bell").exists()


def test_what_cannot_be_stopped_is_told(quiet: Zenml) -> None:
    with own_imports():
        bells(quiet, fails="true")
        quiet("stack", "up")
        result = quiet("stack", "down")
        assert (result.exit_code, result.stderr) == (1, "Error: The bell cannot be stopped.\n")


def test_a_flavor_whose_module_is_gone(quiet: Zenml) -> None:
    with own_imports():
        bells(quiet)
    Path("bells.py").unlink()
    gone = (
        f"The alerter flavor 'bell' cannot be imported from 'bells.Bell', with {str(Path.cwd())!r} first on the path: "
        "No module named 'bells'. Custom flavors are imported relative to the root of the repository: is the module there, and does "
        "it import?"
    )
    result = quiet("stack", "down", "--force")
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        f"{HEADER}Deprovisioning resources for active stack 'default'.\n",
        f"The alerter is left as it is, for it cannot be loaded: {gone}\n",
    )
    result = quiet("stack", "check")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "┃ ALERTER        │ bell    │ bell   │ loads         │ ❌ failed ┃\n" in result.stdout
    assert result.stdout.endswith(f"Alerter 'bell', loads: {gone}\n")
