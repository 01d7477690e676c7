"""What commands show of runs with mapped, retried, skipped and resumed steps."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.conftest import Zenml, own_imports
from tests.graphs import artifact, graph, record, spec
from zenml.cli.graph import tree_text
from zenml.model.runs import ErrorRecord
from zenml.repository import Repository

CODE = """\
from pathlib import Path

from zenml.pipelines import pipeline
from zenml.steps import Retry, step


@step
def numbers() -> list[int]:
    return [1, 2, 3]


@step(retries=Retry(attempts=2))
def square(number: int) -> int:
    if number == 3 and not Path("threes").exists():
        raise ValueError("no <threes>\\nat all")
    return number * number


@step
def total(squares: list[int]) -> int:
    return sum(squares)


@pipeline
def squares():
    total(square.map(numbers()))
"""


@pytest.fixture
def ran(quiet: Zenml) -> str:
    """The name of a run that has failed."""
    Path("squares.py").write_text(CODE)
    with own_imports():
        assert quiet("pipeline", "run", "squares.py").exit_code == 1
    return last_run()


def last_run() -> str:
    pipeline = Repository().get_pipeline("squares")
    assert pipeline is not None
    return pipeline.runs[-1].name


def shown(result: Result) -> str:
    """What a command printed behind its header, without times."""
    assert result.exit_code == 0, result.output
    text = result.stdout.partition("Running with active stack: 'default'\n")[2]
    return re.sub(r"\d+\.\d+(?=s\b|  )", "0.123", text)


def test_the_tree(quiet: Zenml, ran: str) -> None:
    assert shown(quiet("pipeline", "runs", "graph", ran)) == (
        f"{ran}: failed\n"
        "└── numbers: completed, 0.123s\n"
        "    ├── • output: list, 7 B\n"
        "    └── square ×3: 2 completed, 1 failed, 0.123s - ValueError: no <threes>\n"
        "        ├── • output ×2: int\n"
        "        └── total: skipped - it needs the step 'square', which has failed\n"
        "            └── • output: int, not there\n"
    )


def test_the_graph_as_a_document(quiet: Zenml, ran: str) -> None:
    document = json.loads(quiet("pipeline", "runs", "graph", ran, "-o", "json").stdout)
    assert (document["run"], document["pipeline"], document["status"]) == (ran, "squares", "failed")
    assert [node["id"] for node in document["nodes"]] == [
        "step:numbers",
        "step:square",
        "step:total",
        "artifact:numbers/output",
        "artifact:square/output",
        "artifact:total/output",
    ]
    assert document["nodes"][1]["instances"] == {"completed": 2, "failed": 1}


@pytest.mark.parametrize("name", ["run.svg", "run.html", "run.png"])
def test_drawing_to_a_file(quiet: Zenml, ran: str, name: str) -> None:
    result = quiet("pipeline", "runs", "graph", ran, "--to", name)
    assert shown(result) == f"The graph of the run '{ran}' is in {name}.\n"
    assert Path(name).stat().st_size > 1000


def test_what_cannot_be_drawn(quiet: Zenml, ran: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = quiet("pipeline", "runs", "graph", ran, "--to", "run.gif")
    assert result.exit_code == 1
    assert "A graph cannot be drawn to 'run.gif': expected a name that ends in .svg" in result.stderr
    result = quiet("pipeline", "runs", "graph", ran, "--to", "nowhere/run.svg")
    assert result.exit_code == 1
    assert "'nowhere/run.svg': No such file or directory." in result.stderr
    result = quiet("pipeline", "runs", "graph", "nope")
    assert result.exit_code == 1
    assert "There is no run 'nope' on the active stack." in result.stderr
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    result = quiet("pipeline", "runs", "graph", ran, "--to", "run.png")
    assert result.exit_code == 1
    assert "pip install 'resvg-py>=0.5'" in result.stderr


def test_describe(quiet: Zenml, ran: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    _, *table = shown(quiet("pipeline", "runs", "describe", ran)).splitlines()
    assert [re.sub(" +", " ", line) for line in table[3:-1]] == [
        "┃ numbers │ completed │ 0.123 │ │ ┃",
        "┃ square ×3 │ failed │ 0.123 │ numbers │ 2 completed, 1 failed; ValueError: no <threes> ┃",
        "┃ total │ skipped │ │ square │ it needs the step 'square', which has failed ┃",
    ]
    document = json.loads(quiet("pipeline", "runs", "describe", ran, "-o", "json").stdout)
    assert (document["origin"], document["cancel_requested"]) == (None, False)
    assert document["error"] == "ValueError: no <threes>\nat all"
    assert [(step["attempts"], step["instances"]) for step in document["steps"]] == [
        (1, None),
        (1, {"completed": 2, "failed": 1}),
        (0, None),
    ]


def test_describe_says_what_a_run_goes_on_from(quiet: Zenml, ran: str) -> None:
    Path("threes").touch()
    with own_imports():
        assert quiet("pipeline", "runs", "resume", ran).exit_code == 0
    resumed = last_run()
    *_, caption = shown(quiet("pipeline", "runs", "describe", resumed)).splitlines()
    assert caption.strip() == f"It is a resume of the run '{ran}'."
    document = json.loads(quiet("pipeline", "runs", "describe", resumed, "-o", "json").stdout)
    assert document["origin"] == {"kind": "resume", "run": ran}


# Trees of other graphs


def test_a_step_that_waits_for_several_is_shown_once() -> None:
    specs = [
        spec("a"),
        spec("b", {"x": ("a", "output")}),
        spec("c", {"x": ("a", "output")}),
        spec("d", {"x": ("b", "output"), "y": ("c", "output")}, outputs=()),
    ]
    records = [record("a", "cached"), record("b", attempts=2), record("c", "crashed"), record("d", "pending")]
    outputs = {"a": {"output": artifact()}, "b": {"output": artifact()}}
    assert tree_text(graph(specs, records, outputs=outputs), 80, colored=False) == (
        "monday: completed\n"
        "└── a: cached, 1.500s\n"
        "    ├── • output: DataFrame, 123.5 kB\n"
        "    ├── b: completed, 1.500s, 2 attempts\n"
        "    │   ├── • output: DataFrame, 123.5 kB\n"
        "    │   └── d: pending\n"
        "    └── c: crashed, 1.500s\n"
        "        ├── • output: int, not there\n"
        "        └── → d (above)\n"
    )


def test_a_long_chain_goes_on_from_the_margin() -> None:
    specs = [spec("s0", outputs=()), *(spec(f"s{i}", after=(f"s{i - 1}",), outputs=()) for i in range(1, 5))]
    assert tree_text(graph(specs), 57, colored=False) == (
        "monday: completed\n"
        "├── s0: completed, 1.500s\n"
        "│   └── s1: completed, 1.500s\n"
        "│       └── s2: completed, 1.500s\n"
        "│           └── → s3 (below)\n"
        "└── s3 (after s2): completed, 1.500s\n"
        "    └── s4: completed, 1.500s\n"
    )


def test_a_chain_of_a_thousand_is_shown_whole() -> None:
    specs = [spec("s0"), *(spec(f"s{i}", {"x": (f"s{i - 1}", "output")}) for i in range(1, 1000))]
    lines = tree_text(graph(specs), 80, colored=False).splitlines()
    assert max(map(len, lines)) <= 80
    names = [line.split("── ")[1].split()[0].rstrip(":") for line in lines if "completed," in line]
    assert names == [f"s{i}" for i in range(1000)]


def test_no_text_reaches_the_terminal_as_a_command() -> None:
    hostile = "\x1b[31m[bold]red[/bold]\x07\n\u202e"
    shown = tree_text(
        graph(
            [spec(hostile)],
            [record(hostile, "failed", error=ErrorRecord("E", hostile))],
            name=hostile,
            outputs={hostile: {"output": artifact(data_type=hostile)}},
        ),
        200,
        colored=False,
    )
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert shown.count("\\x1b[31m[bold]red[/bold]\\x07\\n\\u202e") == 3


def test_lines_are_cut_to_the_terminal() -> None:
    error = ErrorRecord("ValueError", "x" * 500)
    text = tree_text(graph([spec("a")], [record("a", "failed", error=error)]), 60, colored=True)
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert [len(line) for line in plain.splitlines()][1] == 60
    assert plain.splitlines()[1].endswith("…")
    assert text != plain
