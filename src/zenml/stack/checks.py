"""Tests of whether components can be used now, and what they found."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from zenml.enums import CheckOutcome, StackComponentType
from zenml.exceptions import ZenMLBaseException, sentence
from zenml.secret.known import redact

if TYPE_CHECKING:
    from zenml.stack.component import StackComponent

TIMEOUT = 30.0
"""Seconds for all tests of a stack together, which are done beside each other."""
LARGEST_SKEW = 5.0
"""Seconds that the clock of a server may differ from ours: leases of runs are compared with it."""
_SOON = 7 * 24 * 3600.0
_DAY = 24 * 3600.0
_PREMISES = ("references", "running")
"""Tests without which the others would say the same in other words."""


@dataclass(frozen=True)
class Check:
    """What a test of a component found.

    `what` names the test in one word or two ("writes"), `message` says what was found, `remedy` what to do about it where the message
    does not.
    """

    what: str
    outcome: CheckOutcome = CheckOutcome.OK
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Finding:
    """A test with the component that it is about; `type` is None for the stack itself."""

    type: StackComponentType | None
    name: str
    flavor: str
    check: Check


def tried(what: str, test: Callable[[], object], remedy: str = "") -> Check:
    """Passed if `test` returns, with the message that it gives if that is a text; failed if it raises.

    `remedy` goes with what Python raises: errors of this framework's own say by themselves what to do.
    """
    try:
        found = test()
    except ZenMLBaseException as error:
        return failure(what, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return failure(what, error, remedy)
    return Check(what, message=found if isinstance(found, str) else "")


def failure(what: str, error: Exception, remedy: str = "") -> Check:
    """A failed test, with what was raised in it."""
    if isinstance(error, ZenMLBaseException):
        message = str(error)
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
        message = f"{reason}: {error.filename}" if error.filename else reason
    else:
        message = f"{type(error).__name__}: {error}"
    return Check(what, CheckOutcome.FAILED, sentence(message), remedy)


def check_clock(theirs: float, before: float, after: float) -> Check:
    """Compare a server's clock, read between `before` and `after` of ours (seconds since the epoch)."""
    skew = theirs - after if theirs > after else min(theirs - before, 0.0)
    if abs(skew) <= LARGEST_SKEW:
        return Check("clock")
    way = "ahead of" if skew > 0 else "behind"
    return Check(
        "clock",
        CheckOutcome.WARNING,
        f"Its clock is {abs(skew):.0f} seconds {way} the one of this machine.",
        "Set both by a time server: a run whose lease seems to be over is taken for dead.",
    )


def check_expiry(end: float, what: str = "credentials") -> Check:
    """Whether something that ends at `end` (seconds since the epoch) will do for a while."""
    left = end - time.time()
    if left > _SOON:
        return Check(what)
    remedy = "Renew what the component is configured with."
    if left <= 0:
        return Check(what, CheckOutcome.FAILED, "The end of what is valid is past.", remedy)
    shown = f"{left / _DAY:.0f} days" if left > 2 * _DAY else f"{left / 3600:.1f} hours"
    return Check(what, CheckOutcome.WARNING, f"Valid for {shown} only.", remedy)


def check_folder(path: str) -> Check:
    """Whether a folder of this machine can be written, or made."""
    folder = Path(path)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Check("folder")
    reason = "cannot be written" if folder.is_dir() else "is no folder"
    return Check(
        "folder",
        CheckOutcome.FAILED,
        f"Its folder {path!r} cannot be used: {str(folder)!r} {reason}.",
        "Allow this user to write there, or give the component another path.",
    )


def check_packages(component: StackComponent) -> Check | None:
    """Whether what a component and the integration of its flavor require is installed; None if they require nothing."""
    from zenml.stack.integrations import integrations
    from zenml.stack.packages import missing_packages

    own = component.requirements
    origin = next(
        (
            integration
            for integration in integrations()
            if any((f.type, f.name) == (component.TYPE, component.FLAVOR) for f in integration.flavors)
        ),
        None,
    )
    theirs = set(origin.requirements) if origin else set()
    if not own | theirs:
        return None
    if not (missing := missing_packages(own | theirs)):
        return Check("packages")
    if origin and missing_packages(theirs):
        remedy = f"Install them with `zenml integration install {origin.name}`."
    else:
        lines = " ".join(f"'{line}'" for line in sorted(own) if missing_packages([line]))
        remedy = f"Install them with `pip install {lines}`."
    return Check("packages", CheckOutcome.FAILED, f"Requirements are not met: {', '.join(missing)}.", remedy)


def check_components(
    components: Mapping[StackComponentType, StackComponent], timeout: float = TIMEOUT
) -> list[Finding]:
    """Test all components beside each other; what has not answered after `timeout` seconds has failed."""
    deadline = time.monotonic() + timeout
    # No pool: one would wait for its threads when the process ends, and a server that hangs keeps one.
    running = [(component, _started(component)) for component in components.values()]
    return [
        Finding(component.TYPE, component.name, component.FLAVOR, check)
        for component, answers in running
        for check in _answered(answers, deadline, timeout)
    ]


def _answered(answers: SimpleQueue[Check | None], deadline: float, timeout: float) -> Iterator[Check]:
    while True:
        try:
            check = answers.get(timeout=max(deadline - time.monotonic(), 0))
        except Empty:
            yield Check(
                "answers",
                CheckOutcome.FAILED,
                f"It did not answer within {timeout:g} seconds.",
                "Is its server running, and can this machine reach it? --timeout waits longer.",
            )
            return
        if check is None:
            return
        yield replace(check, message=redact(check.message), remedy=redact(check.remedy))


def _started(component: StackComponent) -> SimpleQueue[Check | None]:
    answers: SimpleQueue[Check | None] = SimpleQueue()

    def work() -> None:
        try:
            if packages := check_packages(component):
                answers.put(packages)
            for check in _checks(component):
                answers.put(check)
        finally:
            answers.put(None)

    threading.Thread(target=work, name=f"check-{component.name}", daemon=True).start()
    return answers


def _checks(component: StackComponent) -> Iterable[Check]:
    try:
        for check in component.check():
            yield check
            if check.what in _PREMISES and check.outcome is CheckOutcome.FAILED:
                return
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        yield failure("can be checked", error)
