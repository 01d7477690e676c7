"""A change of code runs exactly those steps again that reach it: every function of a project is changed in turn."""

from __future__ import annotations

import importlib
import itertools
import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenml.enums import ExecutionStatus
from zenml.pipelines import pipeline
from zenml.steps import step
from zenml.testing import isolated_stack

EXAMPLES = int(os.environ.get("ZENML_CODE_EXAMPLES", "10"))
_numbers = itertools.count()

# Twelve functions, a class and a constant over four modules; what each uses.
GRAPH = {
    "io.read": (),
    "io.parse": ("io.read",),
    "io.write": (),
    "clean.strip": (),
    "clean.scale": ("clean.limit",),
    "clean.limit": (),
    "clean.all": ("clean.strip", "clean.scale", "io.parse"),
    "model.fit": ("clean.all", "model.loss"),
    "model.loss": ("model.norm",),
    "model.norm": (),
    "report.text": ("io.write", "report.title"),
    "report.title": (),
    "report.score": ("model.loss",),
}
STEPS = {
    "load": ("io.parse",),
    "train": ("model.fit",),
    "evaluate": ("report.score",),
    "publish": ("report.text",),
    "idle": (),
}

# How a function of another module is got hold of, and used.
FORMS = (
    ("from .{module} import {name}", "{name}(x)"),
    ("from .{module} import {name} as other_{name}", "other_{name}(x)"),
    ("from . import {module}", "{module}.{name}(x)"),
    ("from . import {module} as the_{module}", "the_{module}.{name}(x)"),
    (
        "import functools\nfrom . import {module}\npart_{name} = functools.partial({module}.{name})",
        "part_{name}(x)",
    ),
    None,  # inside of the function
)


class Project:
    """A package whose functions use each other as the graph says, in forms that are drawn with `seed`."""

    def __init__(
        self,
        folder: Path,
        graph: Mapping[str, tuple[str, ...]],
        steps: Mapping[str, tuple[str, ...]],
        seed: int,
    ) -> None:
        self.name = f"graph{next(_numbers)}"
        self.folder = folder / self.name
        self.folder.mkdir()
        (self.folder / "__init__.py").write_text("")
        self.graph, self.steps, self.seed = graph, steps, seed
        self.versions = dict.fromkeys(graph, 0)

    def write(self) -> None:
        drawn = random.Random(self.seed)  # noqa: S311 - the same forms in every version
        texts: dict[str, list[str]] = {name.partition(".")[0]: [] for name in self.graph}
        for name, uses in self.graph.items():
            module, _, function = name.partition(".")
            imports, body = self._calls(uses, module, drawn)
            texts[module][:0] = imports
            texts[module].append(f"def {function}(x):\n{body}    return [x, {self.versions[name]}]\n")
        main: list[str] = []
        for step_name, uses in self.steps.items():
            imports, body = self._calls(uses, "steps", drawn)
            main[:0] = imports
            main.append(f"def {step_name}(x: int = 0) -> int:\n{body}    return x\n")
        for module, lines in {**texts, "steps": main}.items():
            path = self.folder / f"{module}.py"
            path.write_text("\n".join(lines))

    def _calls(self, uses: tuple[str, ...], module: str, drawn: random.Random) -> tuple[list[str], str]:
        imports, body = [], ""
        for used in uses:
            other, _, name = used.partition(".")
            form = None if other == module else drawn.choice(FORMS)
            if other == module:
                call = f"{name}(x)"
            elif form is None:
                body += f"    from .{other} import {name} as inner_{name}\n"
                call = f"inner_{name}(x)"
            else:
                head, call = (part.format(module=other, name=name) for part in form)
                imports.append(head)
            body += f"    if x < 0:\n        {call}\n"  # some call themselves, and would never end
        return imports, body

    def run(self) -> dict[str, ExecutionStatus]:
        """Run every step, with the modules imported anew."""
        self.write()
        for name in [n for n in sys.modules if n.partition(".")[0] == self.name]:
            del sys.modules[name]
        importlib.invalidate_caches()
        module = importlib.import_module(f"{self.name}.steps")
        made = [step(getattr(module, name)) for name in self.steps]

        @pipeline(name="all")
        def every() -> None:
            for one in made:
                one()

        return {view.name: view.status for view in every().run().steps}

    def reach(self, function: str) -> set[str]:
        """The steps that reach a function."""
        users = {function}
        while more := {name for name, uses in self.graph.items() if users & set(uses)} - users:
            users |= more
        return {name for name, uses in self.steps.items() if users & set(uses)}

    def check_each(self) -> None:
        assert set(self.run().values()) == {ExecutionStatus.COMPLETED}
        for function in self.graph:
            self.versions[function] += 1
            ran = {name for name, status in self.run().items() if status is not ExecutionStatus.CACHED}
            assert ran == self.reach(function), function
        assert set(self.run().values()) == {ExecutionStatus.CACHED}


@pytest.fixture(autouse=True)
def _sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    # What Python has compiled is found by time and size, which two versions may share here.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.mark.parametrize("seed", range(4))
def test_each_function_of_a_project_is_changed_in_turn(tmp_path: Path, seed: int) -> None:
    with isolated_stack():
        Project(tmp_path, GRAPH, STEPS, seed).check_each()


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    names = [f"m{draw(st.integers(0, 3))}.f{number}" for number in range(draw(st.integers(2, 8)))]
    # Any function may use any other: circles are part of it. Of other modules only later ones: imports must not go in circles.
    graph = {}
    for name in names:
        module = name.partition(".")[0]
        usable = [
            other for other in names if other.partition(".")[0] == module or other.partition(".")[0] > module
        ]
        graph[name] = tuple(draw(st.sets(st.sampled_from(usable), max_size=3)))
    steps = {f"s{number}": tuple(draw(st.sets(st.sampled_from(names), max_size=3))) for number in range(3)}
    return graph, steps


@settings(max_examples=EXAMPLES)
@given(drawn=graphs(), seed=st.integers(0, 999))
def test_in_random_graphs_exactly_those_run_again_that_reach_the_change(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]],
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("graph")
    sys.path.insert(0, str(folder))
    graph, steps = drawn
    with isolated_stack():
        Project(folder, graph, steps, seed).check_each()
