"""What holds for every command: help, documents, exit codes, where output goes."""

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import click
import pytest
import yaml

from tests.cli.conftest import Zenml
from zenml._version import __version__
from zenml.cli import main
from zenml.enums import StackComponentType

PROGRAM = [sys.executable, "-c", "from zenml.cli import main; main(prog_name='zenml')"]

HELP = """\
Usage: zenml [OPTIONS] COMMAND [ARGS]...

  Write machine-learning pipelines once, run them on any stack.

  A stack is a set of components: an orchestrator, an artifact store, a metadata
  store, and whatever else your pipelines need. Start with `zenml init` in your
  project's folder; `zenml status` shows what is active.

Options:
  -v, --version  Show the version and exit.
  --help         Show this message and exit.

Stack Components:
  alerter             Register and manage alerters.
  artifact-store      Register and manage artifact stores.
  container-registry  Register and manage container registries.
  data-validator      Register and manage data validators.
  experiment-tracker  Register and manage experiment trackers.
  feature-store       Register and manage feature stores.
  metadata-store      Register and manage metadata stores.
  model-deployer      Register and manage model deployers.
  orchestrator        Register and manage orchestrators.
  secrets-manager     Register and manage secrets managers.
  step-operator       Register and manage step operators.

Model Deployment:
  served-models       See and control the servers of models.

Integrations:
  integration         Install what integrations with other libraries need.

Management Tools:
  pipeline            Run pipelines, and see what ran.
  artifact            See, verify and copy the values that steps gave.
  prune               Remove values that need not be kept, by way of a trash.
  schedule            Run pipelines at their times, and see which.
  stack               Put components together to stacks.

Identity and Security:
  profile             Keep several isolated sets of stacks.
  secret              Manage the secrets of the active stack.

Other Commands:
  completion          Print the script that completes commands in a shell.
  init                Make a folder a repository.
  status              Show what is active, and which setting decided it.
  version             Print the version.

  Each command has --help. Options may be spelled with dashes or underscores.
"""


def commands() -> dict[str, click.Command]:
    found = {}

    def walk(command: click.Command, context: click.Context) -> None:
        found[context.command_path] = command
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                walk(child, click.Context(child, info_name=name, parent=context))

    walk(main, click.Context(main, info_name="zenml"))
    return found


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help(zenml: Zenml, arguments: tuple[str, ...]) -> None:
    result = zenml(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (0, HELP, "")


def test_help_makes_no_profile(zenml: Zenml, home: Path) -> None:
    zenml("--help")
    zenml("stack", "--help")
    zenml("secret", "register", "--help")
    assert list(home.iterdir()) == []


def test_every_command_has_help(zenml: Zenml) -> None:
    for path, command in commands().items():
        result = zenml(*path.split()[1:], "--help")
        assert result.exit_code == 0, path
        assert command.help, path
        assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option)), (
            path
        )


def test_every_type_has_the_same_commands() -> None:
    paths = list(commands())
    trees = {
        tuple(
            path.split(" ", 2)[2]
            for path in paths
            if path.startswith(f"zenml {type_.value.replace('_', '-')} ")
        )
        for type_ in StackComponentType
    }
    (tree,) = trees
    assert {
        "register",
        "list",
        "describe",
        "get",
        "update",
        "remove-attribute",
        "rename",
        "copy",
        "delete",
    } < set(tree)
    assert {"up", "down", "logs", "explain", "flavor list", "flavor register", "flavor delete"} < set(tree)


def test_every_list_and_describe_gives_documents() -> None:
    for path, command in commands().items():
        if path.split()[-1] in {"list", "describe", "status"}:
            assert any("--output" in parameter.opts for parameter in command.params), path


def test_every_deletion_can_be_agreed_to() -> None:
    for path, command in commands().items():
        if path.split()[-1] in {"delete", "cleanup"}:
            assert any("--yes" in parameter.opts for parameter in command.params), path


def test_version(zenml: Zenml) -> None:
    assert zenml("--version").stdout == f"zenml, version {__version__}\n"
    assert zenml("-v").stdout == f"zenml, version {__version__}\n"
    assert zenml("version").stdout == f"version: {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stakc", "list"), "No such command 'stakc'. Did you mean 'stack'?"),
        (("stack", "lst"), "No such command 'lst'. Did you mean 'list'?"),
        (
            ("stack", "list", "-o", "xml"),
            "Invalid value for '-o' / '--output': 'xml' is not one of 'table', 'json', 'yaml'.",
        ),
        (("stack", "set"), "Missing argument 'STACK_NAME'."),
        (("profile", "create", "x", "--store-type", "rest"), "'rest' is not one of 'local', 'sql'."),
        (("init", "--path", "nowhere"), "Directory 'nowhere' does not exist."),
        (
            ("alerter", "register", "x", "-f", "email", "--host"),
            "Option '--host' requires a value: --host=VALUE.",
        ),
        (
            ("alerter", "register", "x", "-f", "email", "--host", "--port=1"),
            "Option '--host' requires a value: --host=VALUE.",
        ),
        (
            ("alerter", "register", "x", "-f", "email", "--host=a", "--host=b"),
            "Option '--host' is given twice.",
        ),
        (
            ("alerter", "register", "x", "-f", "email", "--1=a"),
            "'--1' is no option: write --field=value or --field value.",
        ),
        (
            ("alerter", "register", "x", "-f", "email", "--host=@gone"),
            "Option '--host': 'gone' cannot be read",
        ),
        (("alerter", "register", "x", "-z"), "No such option"),
        (("alerter", "remove-attribute", "x", "--host=1"), "Option '--host' takes no value here."),
        (("stack", "register", "--foo=1", "-o", "default"), "No such option '--foo'."),
    ],
)
def test_usage_errors(quiet: Zenml, arguments: tuple[str, ...], message: str) -> None:
    result = quiet(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("Usage: zenml ")


def test_options_are_spelled_with_dashes_or_underscores(quiet: Zenml) -> None:
    for i, dash in enumerate("-_"):
        options = [f"--{type_}{dash}store" for type_ in ("metadata", "artifact")]
        result = quiet(
            "stack",
            "register",
            f"s{i}",
            "--orchestrator",
            "default",
            options[0],
            "default",
            options[1],
            "default",
        )
        assert result.exit_code == 0, result.output
    assert quiet("artifact_store", "get").exit_code == 0


def test_documents_hold_nothing_else(zenml: Zenml) -> None:
    first = zenml("stack", "list", "-o", "json")  # makes the default profile, and says so
    components = {"artifact_store": "default", "metadata_store": "default", "orchestrator": "default"}
    assert json.loads(first.stdout) == [{"active": True, "name": "default", "components": components}]
    assert "Creating default profile..." in first.stderr
    assert "Running with active profile: 'default' (global)\n" in first.stderr
    assert yaml.safe_load(zenml("stack", "list", "--output", "yaml").stdout) == json.loads(first.stdout)
    for command in ("profile list", "profile describe", "stack describe", "artifact-store list", "status"):
        arguments = command.split()
        assert json.loads(zenml(*arguments, "-o", "json").stdout) == yaml.safe_load(
            zenml(*arguments, "-o", "yaml").stdout
        )
    assert json.loads(zenml("alerter", "list", "-o", "json").stdout) == []


def test_tables_are_cut_at_the_columns_and_not_in_a_pipe(
    quiet: Zenml, monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in (40, 80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        table = quiet("artifact-store", "list").stdout.splitlines()[2:]
        assert len(table) == 5
        assert all(len(line) < columns for line in table)
    monkeypatch.delenv("COLUMNS")
    assert "…" not in quiet("artifact-store", "list").stdout


def test_a_folder_without_rights(zenml: Zenml, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("ZENML_CONFIG_PATH", str(home / "file" / "below"))
    result = zenml("stack", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.output


def test_an_unknown_level_of_messages(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENML_LOGGING_VERBOSITY", "LOUD")
    result = quiet("stack", "get")
    assert result.exit_code == 0
    assert result.stderr == (
        "ZENML_LOGGING_VERBOSITY is 'LOUD'; expected one of DEBUG, INFO, WARN, WARNING, ERROR, CRITICAL. Using INFO.\n"
    )


def test_messages_can_be_turned_down(zenml: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENML_LOGGING_VERBOSITY", "ERROR")
    result = zenml("stack", "get")
    assert (
        result.stdout == "Running with active profile: 'default' (global)\nThe active stack is: 'default'\n"
    )
    assert result.stderr == ""


def test_a_pipe_that_is_closed_early(quiet: Zenml) -> None:
    script = f"{' '.join(map(shlex.quote, PROGRAM))} profile explain | head -n 0; exit ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert process.stderr == ""


def test_work_is_done_though_nobody_listens(home: Path) -> None:
    script = f"{' '.join(map(shlex.quote, PROGRAM))} init | head -n 1; exit ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert process.stderr == ""
    assert Path(".zen/config.yaml").is_file()


# Where the tests run in the background, processes inherit that SIGINT is ignored.
INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"


def test_interrupted_at_a_prompt(quiet: Zenml) -> None:
    quiet("profile", "create", "other")
    terminal, inner = pty.openpty()
    readable = select.poll()
    readable.register(terminal, select.POLLIN)
    program = [PROGRAM[0], "-c", f"{INTERRUPTIBLE}; {PROGRAM[2]}", "profile", "delete", "other"]
    process = subprocess.Popen(program, stdin=inner, stdout=inner, stderr=inner)
    try:
        shown = b""
        while b"proceed?" not in shown:
            assert readable.poll(30_000), shown
            shown += os.read(terminal, 1000)
        for _ in range(30):  # one that comes just before the read begins is not seen until it ends
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
                break
        assert process.returncode == 130
        assert b"Traceback" not in os.read(terminal, 10_000)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(inner)
    assert "other" in quiet("profile", "list").stdout


def test_no_answer_is_a_no(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet("profile", "create", "other")
    assert (
        "There is no terminal to answer on: give --yes."
        in quiet("profile", "delete", "other", input="y\n").stderr
    )
    monkeypatch.setattr("zenml.cli.terminal.has_keyboard", lambda: True)
    declined = quiet("profile", "delete", "other", input="n\n")
    assert declined.exit_code == 0
    assert declined.stdout.endswith("Profile deletion canceled.\n")
    assert "other" in quiet("profile", "list").stdout
    assert quiet("profile", "delete", "other", input="y\n").stdout.endswith("Deleted profile 'other'.\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(zenml: Zenml, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = zenml("completion", shell).stdout
    assert f"_ZENML_COMPLETE={shell}_complete" in script
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert zenml("completion").stdout == script


def test_completion_in_an_unknown_shell(zenml: Zenml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    result = zenml("completion")
    assert result.exit_code == 2
    assert "The shell 'tcsh' is not known: name one of bash, zsh, fish." in result.stderr


def completed(*words: str) -> list[str]:
    from click.shell_completion import BashComplete

    completer = BashComplete(main, {}, "zenml", "_ZENML_COMPLETE")
    return [item.value for item in completer.get_completions(list(words[:-1]), words[-1])]


def test_names_are_completed(quiet: Zenml) -> None:
    quiet("profile", "create", "team")
    quiet("stack", "copy", "default", "spare")
    quiet("artifact-store", "register", "disk", "-f", "local", "--path=/tmp/x")
    assert completed("st") == ["stack", "status", "step-operator"] or set(completed("st")) == {
        "stack",
        "status",
        "step-operator",
    }
    assert completed("stack", "set", "") == ["default", "spare"]
    assert completed("stack", "set", "s") == ["spare"]
    assert completed("profile", "set", "t") == ["team"]
    assert completed("artifact-store", "describe", "") == ["default", "disk"]
    assert completed("stack", "register", "x", "-a", "di") == ["disk"]
    assert completed("stack", "copy", "default", "x", "--to", "") == ["default", "team"]
    assert completed("orchestrator", "delete", "x") == []
    assert completed("stack", "check", "s") == ["spare"]
    assert completed("integration", "install", "skl") == ["sklearn"]


def test_completion_of_names_is_silent_where_there_are_none(
    zenml: Zenml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZENML_ACTIVATED_PROFILE", "gone")
    assert completed("stack", "set", "") == []
