"""Requirements, compared with what is installed."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from zenml.stack.packages import missing_packages, normalized, removable


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("pydantic", None),
        ("pydantic>=1", None),
        ("pydantic>=999", f"pydantic>=999 ({version('pydantic')} is installed)"),
        ("no-such-package", "no-such-package"),
        ("no-such-package[extra]==1", "no-such-package[extra]==1"),
        ("no-such-package; python_version < '3'", None),
        ("pydantic>==1", None),
        ("-r more.txt", None),
        ("./local", None),
        ("https://example.org/package.zip", None),
        ("package @ https://example.org/package.zip", None),
    ],
)
def test_requirements_that_are_not_met_are_told(line, problem):
    assert missing_packages([line]) == ([] if problem is None else [problem])


def test_without_packaging_only_presence_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert missing_packages(["pydantic>=999"]) != []  # pip's copy does as well
    monkeypatch.setitem(sys.modules, "pip._vendor.packaging.requirements", None)
    assert missing_packages(["pydantic>=999", "no-such-package>=1"]) == ["no-such-package>=1"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def distribution(site: Path, name: str, *metadata: str) -> None:
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *metadata]) + "\n"
    )


def test_extras_of_extras_are_looked_at(site: Path):
    distribution(
        site,
        "tweety",
        "Provides-Extra: song",
        "Requires-Dist: lark[morning]; extra == 'song'",
        "Requires-Dist: no-such",
    )
    assert missing_packages(["tweety"]) == []
    assert missing_packages(["tweety[song]"]) == ["tweety[song] (without lark)"]
    distribution(site, "lark", "Provides-Extra: morning", "Requires-Dist: sun>=2; extra == 'morning'")
    assert missing_packages(["tweety[song]"]) == ["tweety[song] (without sun)"]
    distribution(site, "sun")
    assert missing_packages(["tweety[song]"]) == ["tweety[song] (without sun>=2)"]


def test_extras_that_name_each_other_end(site: Path):
    distribution(site, "tweety", "Provides-Extra: all", "Requires-Dist: tweety[all]; extra == 'all'")
    assert missing_packages(["tweety[all]"]) == []


@pytest.mark.parametrize(
    ("line", "name"),
    [("Py_YAML>=6", "py-yaml"), (" a.b[x]; python_version > '3'", "a-b"), ("-r file", ""), ("", "")],
)
def test_a_package_has_one_name(line: str, name: str):
    assert normalized(line) == name


def test_what_others_need_is_not_removed(site: Path):
    distribution(site, "nest")
    distribution(site, "twig")
    distribution(site, "birds", "Requires-Dist: Nest", "Requires-Dist: twig; extra == 'more'")
    assert removable(["nest", "twig", "absent"]) == (["twig"], {"nest": "birds"})
    assert removable(["nest", "birds"]) == (["birds", "nest"], {})
    # The framework's own dependencies, and itself:
    removed, kept = removable(["zenml", "pydantic"])
    assert (removed, list(kept)) == ([], ["pydantic"])
    # What is kept needs something in turn.
    distribution(site, "zoo", "Requires-Dist: birds")
    assert removable(["nest", "birds"]) == ([], {"birds": "zoo", "nest": "birds"})
