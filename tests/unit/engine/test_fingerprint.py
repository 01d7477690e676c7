"""Fingerprints of code: what counts, and what does not."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from zenml.engine.fingerprint import code_of

MODULES = {
    "project/__init__.py": "",
    "project/constants.py": """
        RATE = 0.1
        NAMES = {"a", "b"}
        UNUSED = 1
    """,
    "project/features.py": '''
        import math
        from project import constants

        def scale(x):
            """Scale."""
            return x * constants.RATE

        def clean(x):
            return math.floor(scale(x))

        def unused(x):
            return x
    ''',
    "project/models.py": """
        from project.features import clean

        class Base:
            def weight(self):
                return 1

        class Model(Base):
            def fit(self, x):
                return clean(x) + self.weight()

        MODEL = Model()
    """,
    "project/steps.py": """
        from project import models
        from project.features import scale

        def direct(x):
            return scale(x)

        def through_class(x):
            return models.Model().fit(x)

        def through_instance(x):
            return models.MODEL.fit(x)

        def late(x):
            from project import lazy
            return lazy.value(x)

        RATE = 1

        def own(x):
            total = [RATE for RATE in x]
            def inner(scale):
                return scale(x)
            return total, inner

        def closing(n):
            def inner(x):
                return x + n
            return inner
    """,
    "project/lazy.py": """
        def value(x):
            return x
    """,
}


class Project:
    """A package in a folder, edited and imported anew."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, text in MODULES.items():
            path = root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def edit(self, module: str, old: str, new: str) -> None:
        path = self.root / "project" / f"{module}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def code(self, function: str) -> dict[str, str]:
        for name in [name for name in sys.modules if name.partition(".")[0] == "project"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return code_of(getattr(importlib.import_module("project.steps"), function))

    def changed(self, function: str, module: str, old: str, new: str) -> set[str]:
        before = self.code(function)
        self.edit(module, old, new)
        after = self.code(function)
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Project(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "project"]:
        del sys.modules[name]


def test_names_what_a_function_reaches(project: Project) -> None:
    assert list(project.code("direct")) == [
        "constant project.constants.RATE",
        "function project.features.scale",
        "step project.steps.direct",
    ]


def test_follows_classes_their_bases_and_methods(project: Project) -> None:
    names = {
        "class project.models.Model",
        "class project.models.Base",
        "function project.features.clean",
        "function project.features.scale",
    }
    assert names < project.code("through_class").keys()
    assert names < project.code("through_instance").keys()


@pytest.mark.parametrize(
    ("module", "old", "new", "name"),
    [
        ("constants", "RATE = 0.1", "RATE = 0.2", "constant project.constants.RATE"),
        ("features", "x * constants", "2 * x * constants", "function project.features.scale"),
        ("features", "math.floor(scale(x))", "math.ceil(scale(x))", "function project.features.clean"),
        ("models", "return 1", "return 2", "class project.models.Base"),
    ],
)
def test_a_change_is_seen_where_it_is_reached(
    project: Project, module: str, old: str, new: str, name: str
) -> None:
    assert project.changed("through_class", module, old, new) == {name}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("features", '"""Scale."""', '"""Scale it by the rate."""'),
        ("features", "return x * constants.RATE", "# a comment\n    return (x *\n        constants.RATE)"),
        ("features", "def unused(x):\n    return x", "def unused(x):\n    return -x"),
        ("constants", "UNUSED = 1", "UNUSED = 2"),
    ],
)
def test_what_does_not_matter_does_not_count(project: Project, module: str, old: str, new: str) -> None:
    assert project.changed("through_class", module, old, new) == set()


def test_what_a_function_imports_inside_is_followed(project: Project) -> None:
    assert project.changed("late", "lazy", "return x", "return x + 1") == {"function project.lazy.value"}


def test_the_order_of_a_set_does_not_count(project: Project) -> None:
    project.edit("steps", "return scale(x)", "from project import constants as c\n    return c.NAMES")
    assert project.code("direct") == project.code("direct")


def test_what_a_function_closes_over_counts(project: Project) -> None:
    project.code("direct")
    closing = sys.modules["project.steps"].closing
    assert code_of(closing(1)) != code_of(closing(2))
    assert code_of(closing(1)) == code_of(closing(1))


def test_names_that_a_function_binds_itself_are_not_those_of_its_module(project: Project) -> None:
    assert list(project.code("own")) == ["step project.steps.own"]


def test_the_library_of_python_does_not_count() -> None:
    assert code_of(textwrap.dedent).keys() == {"step textwrap.dedent"}
