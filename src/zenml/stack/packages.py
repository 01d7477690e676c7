"""Installed packages: which requirements they do not meet, and adding and removing some by pip or uv."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, distributions, version
from typing import Any

from zenml.exceptions import IntegrationError

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_OWN_NAME = "zenml"
_SHOWN_LINES = 15
_DASHES = re.compile(r"[-_.]+")


def missing_packages(requirements: Iterable[str]) -> list[str]:
    """Those pip requirements that are not met here, each with what is there instead.

    Of a requirement with extras, what the extras bring counts as well. Lines that name no package (options, addresses, paths)
    are left out. Versions and extras are looked at where there is `packaging`, of itself or as part of pip.
    """
    return [problem for line in sorted(set(requirements)) if (problem := _problem(line)) is not None]


def normalized(requirement: str) -> str:
    """The name of the package that a requirement names, in the one spelling of all that stand for it; empty if it names none."""
    match = _NAME.match(requirement)
    return _DASHES.sub("-", match[1]).lower() if match else ""


def install(requirements: Sequence[str], *, uv: bool = False) -> None:
    """Install packages into the environment of this process, with pip, or with uv where `uv` or where there is no pip.

    This framework itself stays as it is, whatever the packages depend on.

    Raises:
        IntegrationError: they cannot be installed; the message shows the installer's last lines.
    """
    import tempfile
    from pathlib import Path

    wanted = [line for line in requirements if normalized(line) != _OWN_NAME]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(f"{_OWN_NAME}{_own_version()}\n", encoding="utf-8")
        _run([*_installer(uv=uv, verb="install"), "--constraint", str(constraints), *wanted])


def uninstall(packages: Sequence[str], *, uv: bool = False) -> None:
    """Remove packages, by name, from the environment of this process. Raises IntegrationError as `install` does."""
    _run([*_installer(uv=uv, verb="uninstall"), *packages])


def removable(packages: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Of these packages, by normalized names, those that are installed and nothing else needs; of the others, what needs them."""
    installed = {normalized(found.metadata["Name"]): found.requires or () for found in distributions()}
    removed = {name for name in packages if name in installed and name != _OWN_NAME}
    kept: dict[str, str] = {}
    while True:
        needed = {
            name: by
            for by, lines in installed.items()
            if by not in removed
            for name in _needed(lines)
            if name in removed
        }
        if not needed:
            return sorted(removed), kept
        kept |= needed
        removed -= needed.keys()


def _problem(line: str) -> str | None:
    if " @ " in line or "://" in line or not (match := _NAME.match(line)):
        return None
    try:
        present = version(match[1])
    except PackageNotFoundError:
        present = None
    if present is None and ";" not in line:
        return line
    parsed = _parsed(line)
    if parsed is None:
        return None if present else line
    if parsed.marker is not None and not parsed.marker.evaluate():
        return None
    if present is None:
        return line
    if not parsed.specifier.contains(present, prereleases=True):
        return f"{line} ({present} is installed)"
    if parsed.extras and (lacking := list(_lacking(parsed.name, parsed.extras, set()))):
        return f"{line} (without {', '.join(lacking)})"
    return None


def _lacking(name: str, extras: Iterable[str], seen: set[tuple[str, str]]) -> Iterator[str]:
    """What the extras of an installed package bring and is not there."""
    for extra in sorted(extras):
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in distribution(name).requires or ():
            part = _parsed(line)
            if part is None or part.marker is None or part.marker.evaluate({"extra": ""}):
                continue  # it belongs to no extra
            if not part.marker.evaluate({"extra": extra}):
                continue
            try:
                present = version(part.name)
            except PackageNotFoundError:
                yield part.name
                continue
            if not part.specifier.contains(present, prereleases=True):
                yield f"{part.name}{part.specifier}"
            yield from _lacking(part.name, part.extras, seen)


def _needed(lines: Iterable[str]) -> Iterator[str]:
    """The packages that a package needs without any extra."""
    for line in lines:
        if parsed := _parsed(line):
            if parsed.marker is None or parsed.marker.evaluate({"extra": ""}):
                yield normalized(line)
        elif "extra ==" not in line:
            yield normalized(line)


def _parsed(line: str) -> Any:
    """The requirement as `packaging` reads it; None where there is none, or where it is not one that it can read."""
    for module in ("packaging.requirements", "pip._vendor.packaging.requirements"):  # pip brings a copy
        try:
            found = import_module(module)
        except ImportError:
            continue
        try:
            return found.Requirement(line)
        except found.InvalidRequirement:
            return None
    return None


def _own_version() -> str:
    """The one that is installed, else none at all: there may be another project of this name in an index."""
    try:
        return f"=={version(_OWN_NAME)}"
    except PackageNotFoundError:
        return "<0"


def _installer(*, uv: bool, verb: str) -> list[str]:
    from importlib.util import find_spec
    from shutil import which

    if not uv and find_spec("pip") is not None:
        unasked = ["--no-input", "--disable-pip-version-check", *(["--yes"] if verb == "uninstall" else [])]
        return [sys.executable, "-m", "pip", verb, *unasked]
    if find_spec("uv") is not None:
        command = [sys.executable, "-m", "uv"]
    elif program := which("uv"):
        command = [program]
    else:
        missing = "uv is" if uv else "Neither pip nor uv is"
        raise IntegrationError(
            f"{missing} there to {verb} packages with. `{sys.executable} -m ensurepip` brings pip into this environment."
        )
    return [*command, "pip", verb, "--python", sys.executable]


def _run(command: Sequence[str]) -> None:
    import subprocess
    from pathlib import Path

    finished = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if finished.returncode != 0:
        name = "uv" if "uv" in (*command, Path(command[0]).name) else "pip"
        lines = finished.stdout.decode(errors="replace").strip().splitlines()[-_SHOWN_LINES:]
        raise IntegrationError(
            "\n  ".join([f"{name} ended with exit code {finished.returncode}. Its last lines:", *lines])
        )
