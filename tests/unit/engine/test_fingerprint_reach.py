"""What a step reaches: each way in which Python lets one piece of code use another."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from zenml.engine.fingerprint import code_of

_numbers = itertools.count()


class Project:
    """A package with a name of its own. Editing a file and importing it anew shows what an edit changes."""

    def __init__(self, folder: Path) -> None:
        self.name = f"reach{next(_numbers)}"
        self.folder = folder / self.name
        self.folder.mkdir()
        self.write("__init__", "")

    def write(self, module: str, text: str) -> None:
        path = self.folder / f"{module}.py"
        path.write_text(textwrap.dedent(text))
        os.utime(
            path, (1, 1)
        )  # what Python has compiled is found by time and size: each version is compiled anew

    def load(self, module: str = "steps") -> ModuleType:
        for name in [n for n in sys.modules if n.partition(".")[0] == self.name]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module(f"{self.name}.{module}")

    def code(self, function: str = "train") -> dict[str, str]:
        return {k.replace(f"{self.name}.", ""): v for k, v in code_of(getattr(self.load(), function)).items()}

    def changed_by(self, module: str, old: str, new: str) -> set[str]:
        before = self.code()
        text = (self.folder / f"{module}.py").read_text()
        assert old in text
        self.write(module, text.replace(old, new))
        return differing(before, self.code())


def differing(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Project(tmp_path)


FEATURES = """
    import math

    RATE = 0.1

    def scale(x):
        return x * RATE

    def clean(x, least=0):
        return max(scale(x), least)

    def other(x):
        return -x
"""


@pytest.mark.parametrize(
    "steps",
    [
        "from .features import clean\ndef train(x):\n    return clean(x)",
        "from .features import clean as tidy\ndef train(x):\n    return tidy(x)",
        "from . import features\ndef train(x):\n    return features.clean(x)",
        "from . import features as f\ndef train(x):\n    return [f.clean(one) for one in x]",
        "from .features import *\ndef train(x):\n    return clean(x)",
        "import functools\nfrom . import features\ntidy = functools.partial(features.clean, least=1)\ndef train(x):\n    return tidy(x)",
        "from .features import clean\ndef train(x, how=clean):\n    return how(x)",
        "from .features import clean\ndef train(x):\n    return list(map(lambda one: clean(one), x))",
        "from .features import clean\nSTEPS = [clean, len]\ndef train(x):\n    return [one(x) for one in STEPS]",
        "from .features import clean\nclass Model:\n    tidy = staticmethod(clean)\ndef train(x):\n    return Model.tidy(x)",
        (
            "from .features import clean\nclass Model:\n    @property\n    def tidy(self):\n        return clean(1)\n"
            "def train(x):\n    return Model().tidy"
        ),
        (
            "from .features import clean\nclass Model:\n    @classmethod\n    def tidy(cls):\n        return clean(1)\nMODEL = Model()\n"
            "def train(x):\n    return MODEL.tidy()"
        ),
        "from .features import clean\ndef make(how):\n    def train(x):\n        return how(x)\n    return train\ntrain = make(clean)",
        (
            "from functools import cache\nfrom . import features\n@cache\ndef tidy(x):\n    return features.clean(x)\n"
            "def train(x):\n    return tidy(x)"
        ),
        (
            "from contextlib import contextmanager\nfrom .features import clean\n@contextmanager\ndef tidy(x):\n    yield clean(x)\n"
            "def train(x):\n    with tidy(x) as y:\n        return y"
        ),
        (
            "from functools import singledispatch\nfrom .features import clean\n@singledispatch\ndef tidy(x):\n    return x\n"
            "@tidy.register\ndef _(x: int):\n    return clean(x)\ndef train(x):\n    return tidy(x)"
        ),
        (
            "from dataclasses import dataclass, field\nfrom .features import clean\n@dataclass\nclass Row:\n"
            "    x: int = field(default_factory=lambda: clean(1))\ndef train(x):\n    return Row()"
        ),
        "def train(x):\n    from .features import clean\n    return clean(x)",
        "def train(x):\n    from . import features\n    return features.clean(x)",
        "def train(x):\n    def inner():\n        import {name}.features as f\n        return f.clean(x)\n    return inner()",
        "def train(x):\n    import {name}.features\n    return {name}.features.clean(x)",
        "from .api import tidy\ndef train(x):\n    return tidy(x)",
        "def train(x):\n    from .api import tidy\n    return tidy(x)",
    ],
)
def test_a_helper_is_reached(project: Project, steps: str) -> None:
    project.write("features", FEATURES)
    project.write("api", "from .features import clean as tidy\n")
    project.write("steps", steps.replace("{name}", project.name))

    assert project.changed_by("features", "return x * RATE", "return RATE * x") == {"function features.scale"}
    assert project.changed_by("features", "return max(", "return min(") == {"function features.clean"}
    assert project.changed_by("features", "RATE = 0.1", "RATE = 0.2") == {"constant features.RATE"}
    assert project.changed_by("features", "return -x", "return x") == set()
    assert project.changed_by("features", "def clean", "# Cleans.\ndef clean") == set()


@pytest.mark.parametrize(
    ("decorator", "name"),
    [
        ("@timed", "function steps.timed"),
        ("@features.timed", "function features.timed"),
    ],
)
@pytest.mark.parametrize("wraps", ["@functools.wraps(function)", ""])
def test_decorators_of_helpers_are_reached(project: Project, decorator: str, name: str, wraps: str) -> None:
    timed = f"""
import functools
def timed(function):
    {wraps}
    def wrapper(*args):
        return function(*args)
    return wrapper
"""
    project.write("features", timed)
    project.write(
        "steps",
        f"{timed}\nfrom . import features\n{decorator}\ndef tidy(x):\n    return x\ndef train(x):\n    return tidy(x)\n",
    )
    module = name.split()[1].split(".", maxsplit=1)[0]

    changed = project.changed_by(module, "return function(*args)", "return function(*args), 1")
    assert f"{name}.<locals>.wrapper" in changed
    assert changed <= {name, f"{name}.<locals>.wrapper"}
    assert project.changed_by("steps", "def tidy(x):\n    return x", "def tidy(x):\n    return 2 * x") == {
        "function steps.tidy"
    }


def test_the_decorators_of_a_step_count_by_what_they_put_around_it(project: Project) -> None:
    project.write(
        "steps",
        """
        import functools
        def timed(note):
            def decorate(function):
                @functools.wraps(function)
                def wrapper(*args):
                    return function(*args), note
                return wrapper
            return decorate
        @timed("a")
        def train(x):
            return x
        """,
    )

    assert project.changed_by("steps", '@timed("a")', '@timed("b")') == {
        "constant steps.timed.<locals>.decorate.<locals>.wrapper.note"
    }
    assert project.changed_by("steps", "return function(*args), note", "return note") == {
        "function steps.timed.<locals>.decorate.<locals>.wrapper"
    }
    assert project.changed_by("steps", "return x", "return -x") == {"step steps.train"}


def test_constants_count_by_value(project: Project) -> None:
    project.write(
        "steps",
        """
        from dataclasses import dataclass
        from enum import Enum
        from datetime import timedelta
        from typing import NamedTuple
        from .settings import WIDTH
        class Color(Enum):
            RED = 1
        @dataclass(frozen=True)
        class Config:
            rate: float
            names: tuple = ()
        class Size(NamedTuple):
            width: int
        CONFIG = Config(float("0.5"))
        SIZES = {"a": Size(int("1"))}
        COLOR, WAIT = Color.RED, timedelta(days=int("1"))
        def train(x):
            return CONFIG.rate, SIZES["a"], COLOR, WAIT, WIDTH
        """,
    )
    project.write("settings", "WIDTH = int('3')")

    assert project.changed_by("steps", 'float("0.5")', "1 / 2") == set()
    assert project.changed_by("steps", "1 / 2", "1 / 4") == {"constant steps.CONFIG"}
    assert project.changed_by("steps", 'Size(int("1"))', "Size(2)") == {"constant steps.SIZES"}
    assert project.changed_by("steps", 'timedelta(days=int("1"))', "timedelta(days=2)") == {
        "constant steps.WAIT"
    }
    assert project.changed_by("settings", "3", "4") == {"constant settings.WIDTH"}


def test_other_constants_count_by_the_source_of_their_assignment(project: Project) -> None:
    project.write("models", "def load(n):\n    return object()\nMODEL = load(1)")
    project.write("steps", "from .models import MODEL\ndef train(x):\n    return MODEL")

    assert project.changed_by("models", "load(1)", "load(2)") == {"constant models.MODEL"}
    assert project.changed_by("models", "object()", "object() or n") == {"function models.load"}


def test_each_part_of_a_class_is_the_class(project: Project) -> None:
    project.write(
        "steps",
        """
        class Base:
            unit = 1
            def weight(self):
                return 1
        class Model(Base):
            def fit(self):
                return self.weight()
        def train(x):
            return Model().fit()
        """,
    )

    assert project.changed_by("steps", "unit = 1", "unit = 2") == {"class steps.Base"}
    assert project.changed_by("steps", "return self.weight()", "return 2 * self.weight()") == {
        "class steps.Model"
    }


def test_what_was_put_in_the_place_of_something_counts(project: Project) -> None:
    project.write("features", FEATURES)
    project.write(
        "steps",
        """
        from . import features
        class Model:
            rate = 1
            def fit(self, x):
                return features.clean(x) * self.rate
        def train(x):
            return Model().fit(x)
        """,
    )
    before = project.code()
    steps = sys.modules[f"{project.name}.steps"]

    def now() -> dict[str, str]:
        return {k.replace(f"{project.name}.", ""): v for k, v in code_of(steps.train).items()}

    steps.features.clean = lambda x: x + 1
    changed = differing(before, now())
    assert {"function features.clean", "function features.scale", "constant features.RATE"} < changed
    assert any("test_what_was_put_in_the_place" in name for name in changed)

    before = now()
    steps.Model.rate = 2
    assert differing(before, now()) == {"class steps.Model"}

    before = now()
    steps.Model.fit = lambda self, x: x - 1
    assert any("test_what_was_put_in_the_place" in name for name in differing(before, now()))


def test_a_function_without_source_counts_by_its_bytecode(project: Project) -> None:
    project.write("features", FEATURES)
    project.write(
        "steps",
        """
        from . import features
        text = "def made(x):\\n    return features.clean(x) + 1"
        space = {"features": features, "__name__": __name__}
        exec(text, space)
        made = space["made"]
        def train(x):
            return made(x)
        """,
    )

    assert project.changed_by("steps", "(x) + 1", "(x) + 2") == {"bytecode steps.made"}
    assert project.changed_by("features", "x * RATE", "RATE * x") == {"function features.scale"}


def test_an_edited_file_counts_when_it_is_loaded_again(project: Project) -> None:
    project.write("features", FEATURES)
    project.write(
        "steps",
        """
        from .features import clean
        class Model:
            def fit(self, x):
                return clean(x)
        def train(x):
            return Model().fit(x)
        """,
    )
    loaded = project.load()
    before = code_of(loaded.train)
    project.write("features", FEATURES.replace("max(", "min("))
    project.write("steps", (project.folder / "steps.py").read_text().replace("clean(x)", "clean(2 * x)"))
    edited = code_of(loaded.train)
    after = code_of(project.load().train)

    # What runs is neither of the new text, nor is it taken for it.
    name = project.name
    assert f"bytecode {name}.features.clean" in edited
    assert edited[f"class {name}.steps.Model"] not in (
        before[f"class {name}.steps.Model"],
        after[f"class {name}.steps.Model"],
    )
    assert after[f"function {name}.features.clean"] != before[f"function {name}.features.clean"]


def test_comments_written_into_a_loaded_file_change_nothing(project: Project) -> None:
    project.write("features", FEATURES)
    project.write("steps", "from .features import clean\ndef train(x):\n    return clean(x)")
    loaded = project.load()
    before = code_of(loaded.train)
    project.write("features", FEATURES.replace("return max(", "return max(  # at least\n            "))

    assert code_of(loaded.train) == before


def test_a_module_that_is_used_as_a_whole_counts_as_a_whole(project: Project) -> None:
    project.write("features", FEATURES)
    project.write("steps", "from . import features\ndef train(name):\n    return getattr(features, name)()")

    assert project.changed_by("features", "return -x", "return x") == {"module features"}


def test_a_module_that_is_imported_for_what_it_does_counts_as_a_whole(project: Project) -> None:
    project.write("plugins", "print('plugged')")
    project.write("steps", f"def train(x):\n    import {project.name}.plugins\n    return x")

    assert project.changed_by("plugins", "plugged", "plugged in") == {"module plugins"}


def test_what_a_function_imports_is_read_without_importing_it(project: Project) -> None:
    project.write(
        "heavy",
        "from . import models\nSIZE = 3\ndef fit(x):\n    return models.weigh(x) + SIZE\ndef other():\n    pass",
    )
    project.write("models", "from .units import *\ndef weigh(x):\n    return gram(x)")
    project.write("units", "def gram(x):\n    return x\ndef pound(x):\n    return x")
    project.write("steps", "def train(x):\n    from .heavy import fit\n    return fit(x)")

    assert list(project.code()) == [
        "constant heavy.SIZE",
        "function heavy.fit",
        "function models.weigh",
        "function units.gram",
        "step steps.train",
    ]
    assert f"{project.name}.heavy" not in sys.modules
    assert project.changed_by("units", "def gram(x):\n    return x", "def gram(x):\n    return 2 * x") == {
        "function units.gram"
    }
    assert project.changed_by("heavy", "SIZE = 3", "SIZE = 4") == {"constant heavy.SIZE"}


def test_the_key_is_the_same_once_it_is_imported(project: Project) -> None:
    project.write("features", FEATURES)
    project.write("steps", "def train(x):\n    from .features import clean\n    return clean(x)")
    steps = project.load()
    before = code_of(steps.train)
    steps.train(1)

    assert f"{project.name}.features" in sys.modules
    assert code_of(steps.train) == before


def test_a_default_that_was_computed_counts(project: Project) -> None:
    project.write(
        "steps",
        """
        def make(n):
            def tidy(x, rate=n, *, least=n + 1):
                return x * rate
            return tidy
        tidy = make(1)
        def train(x):
            return tidy(x)
        """,
    )

    assert project.changed_by("steps", "make(1)", "make(2)") == {
        "constant steps.make.<locals>.tidy.rate",
        "constant steps.make.<locals>.tidy.least",
    }


def test_functions_that_call_each_other_end(project: Project) -> None:
    project.write(
        "steps",
        """
        def even(n):
            return n == 0 or odd(n - 1)
        def odd(n):
            return n != 0 and even(n - 1)
        class Node:
            def next(self):
                return Node(), train
        def train(n):
            return even(n), Node()
        """,
    )

    assert project.changed_by("steps", "n != 0 and", "n != 0 & ") == {"function steps.odd"}


def test_a_file_in_another_language_counts_by_its_bytes(project: Project) -> None:
    import _json  # any extension module does

    built = Path(_json.__file__) if hasattr(_json, "__file__") else None
    if built is None:
        pytest.skip("this Python has no extension modules in files")
    (project.folder / "fast.so").write_bytes(b"1")
    fast = ModuleType(f"{project.name}.fast")
    fast.__file__ = str(project.folder / "fast.so")
    project.write(
        "steps",
        "def train(x):\n    return fast(x)\ndef fast(x):\n    from . import fast\n    return fast.go(x)",
    )
    steps = project.load()
    sys.modules[f"{project.name}.fast"] = fast
    sys.modules[project.name].fast = fast
    steps.fast = fast
    before = code_of(steps.train)
    (project.folder / "fast.so").write_bytes(b"2")

    assert differing(before, code_of(steps.train)) == {f"module {project.name}.fast"}
