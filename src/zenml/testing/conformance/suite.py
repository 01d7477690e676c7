"""What all suites have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from zenml.enums import CheckOutcome

if TYPE_CHECKING:
    from zenml.stack import StackComponent

T = TypeVar("T", bound=Callable[..., Any])


class Suite:
    """Tests of one interface. An author subclasses a suite and gives it fixtures; each test is a duty of the interface."""

    cannot: ClassVar[Mapping[str, str]] = {}
    """What the flavor cannot do, with the reason: tests that need it are skipped. The suite's docstring names what can be left out."""

    @pytest.fixture(autouse=True)
    def _skip_what_cannot_be(self, request: pytest.FixtureRequest) -> None:
        for ability in getattr(request.function, "__needs__", ()):
            if ability in self.cannot:
                pytest.skip(f"{type(self).__name__} cannot do '{ability}': {self.cannot[ability]}")

    def __init_subclass__(cls) -> None:
        """Refuse an ability that no test needs: it would be a mistake that nobody sees."""
        super().__init_subclass__()
        known = {ability for name in dir(cls) for ability in getattr(getattr(cls, name), "__needs__", ())}
        if unknown := sorted(set(cls.cannot) - known):
            raise TypeError(
                f"{cls.__name__}.cannot names {', '.join(map(repr, unknown))}; what a flavor may leave out here is: "
                f"{', '.join(sorted(known)) or 'nothing'}."
            )


def needs(*abilities: str) -> Callable[[T], T]:
    """Mark a test that a flavor without one of these abilities need not pass."""

    def mark(test: T) -> T:
        test.__needs__ = abilities  # type: ignore[attr-defined]
        return test

    return mark


def undefined(suite: Suite, fixture: str, what: str) -> NoReturn:
    """Fail a test for which the author's class lacks a fixture."""
    raise pytest.UsageError(
        f"{type(suite).__name__} must define the fixture `{fixture}`, which gives {what}."
    )


def assert_healthy(component: StackComponent) -> None:
    """Whatever the component tests of itself for `zenml stack check` passes."""
    checks = list(component.check())
    assert checks
    assert not [check for check in checks if check.outcome is not CheckOutcome.OK]


def thorough(examples: int, **options: Any) -> settings:
    """Settings of property tests: what a test takes says more about the machine, and about the flavor's server, than about the code."""
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        **options,
    )
