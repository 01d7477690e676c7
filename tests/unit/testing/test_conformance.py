"""The conformance suites, as an author of a flavor meets them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import zenml.testing.conformance

pytest_plugins = "pytester"

BROKEN = """
    from pathlib import Path

    import pytest

    from zenml.artifact_stores import LocalArtifactStore
    from zenml.testing.conformance import ArtifactStoreConformance


    class Forgetful(LocalArtifactStore):
        FLAVOR = "forgetful"

        def exists(self, path):
            return True


    class TestForgetful(ArtifactStoreConformance):
        @pytest.fixture
        def store(self, tmp_path):
            return Forgetful(name="store", path=str(tmp_path / "store"))
"""


def test_a_broken_duty_is_found_and_shown(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=BROKEN)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-k", "questions")
    assert result.parseoutcomes()["failed"] == 1
    # Rewritten as assertions in a test's own file are.
    result.stdout.fnmatch_lines(["E *assert not True", "E *where True = exists(*missing*"])


def test_what_a_flavor_cannot_do_is_skipped_with_its_reason(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from zenml.testing.conformance.suite import Suite, needs

        class Flights(Suite):
            @needs("fly")
            def test_it_flies(self):
                raise AssertionError

            def test_it_walks(self):
                pass

        class TestPenguin(Flights):
            cannot = {"fly": "too heavy"}
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*TestPenguin cannot do 'fly': too heavy*"])


def test_an_ability_that_no_test_needs_is_a_mistake() -> None:
    with pytest.raises(
        TypeError, match="TestMine.cannot names 'mapp'; what a flavor may leave out here is: cancel, "
    ):
        type("TestMine", (zenml.testing.conformance.OrchestratorConformance,), {"cannot": {"mapp": "typo"}})


def test_a_missing_fixture_is_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from zenml.testing.conformance import SecretsManagerConformance

        class TestMine(SecretsManagerConformance):
            pass
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-x")
    result.stdout.fnmatch_lines(
        ["*TestMine must define the fixture `manager`, which gives a secrets manager without secrets.*"]
    )


def test_every_suite_can_be_imported_by_itself() -> None:
    for name in zenml.testing.conformance.__all__:
        assert getattr(zenml.testing.conformance, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'Conformance'"):
        _ = zenml.testing.conformance.Conformance


def test_a_package_that_is_missing_is_named() -> None:
    program = """
import sys
sys.modules["hypothesis"] = None
try:
    from zenml.testing.conformance import SecretsManagerConformance
except ImportError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert (
        "SecretsManagerConformance needs the package 'hypothesis', which is not installed: `pip install 'hypothesis>=6.130'`."
        in told
    )
