"""The pytest plugin, in suites of its users."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = "pytester"

STEPS = """
    import pytest
    from zenml.pipelines import pipeline
    from zenml.repository import Repository
    from zenml.steps import step
    from zenml.testing import assert_cached, run_step

    @step
    def one() -> int:
        return 1

    @pipeline
    def counting():
        one()
"""


@pytest.fixture
def suite(pytester):
    def run(text, *arguments):
        pytester.makepyfile(test_it=f"{STEPS}\n{text}")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run


def test_each_test_has_a_stack_of_its_own(suite):
    suite(
        """
    @pytest.mark.parametrize("again", [False, True])
    def test_run(zenml_stack, again):
        assert Repository().get_pipelines() == []
        counting().run()
        assert_cached(counting().run(), "one")

    class TestSteps:
        def test_step(self):
            assert run_step(one) == 1
    """,
        "--strict-markers",
    ).assert_outcomes(passed=3)


def test_a_mark_gives_the_stack_its_arguments(suite):
    suite(
        """
    @pytest.mark.zenml_stack(secrets={"service": {"token": "x", "user": "ann"}})
    class TestService:
        def test_class(self, zenml_stack):
            assert zenml_stack.secrets_manager.get_secret("service").content["user"] == "ann"

        @pytest.mark.zenml_stack(secrets={"service": {"token": "y"}})
        def test_own(self, zenml_stack):
            assert zenml_stack.secrets_manager.get_secret("service").content == {"token": "y"}
    """,
        "--strict-markers",
    ).assert_outcomes(passed=2)


def test_a_failing_assertion_points_at_the_test(suite):
    result = suite("""
    def test_run(zenml_stack):
        assert_cached(counting().run(), "one")
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E * AssertionError: Not taken from the cache in the run 'counting-*': 'one'. Its steps:"]
    )
    assert "assertions.py" not in result.stdout.str()


def test_a_suite_without_it_loads_none_of_it(pytester):
    pytester.makepyfile("""
    import sys

    def test_nothing():
        loaded = {name for name in sys.modules if name.startswith("zenml.")}
        assert loaded <= {"zenml._version", "zenml.testing", "zenml.testing.plugin"}
        assert not {"pydantic", "sqlalchemy", "yaml", "hypothesis.strategies"} & set(sys.modules)
    """)
    pytester.runpytest_subprocess("-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_the_package_can_be_used_without_pytest():
    program = "import sys; import zenml.testing as t; [getattr(t, n) for n in t.__all__]; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
