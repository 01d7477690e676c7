"""docs/orchestrators.md and docs/step-operators.md say of every flavor what its suite says that it cannot do."""

import ast
import re
from pathlib import Path

import pytest

from zenml.enums import StackComponentType
from zenml.stack.flavors import all_flavors

DOCS = Path(__file__).parents[2] / "docs"
_ROW = re.compile(
    r"\| `(?P<flavor>\w+)`[^|]* \|.*\| \[(?P<suite>\w+)\]\((?P<file>[^)]+)\)[^|]*\| (?P<cannot>[^|]*)\|"
)


@pytest.mark.parametrize(
    ("page", "type_", "suite"),
    [
        ("orchestrators", StackComponentType.ORCHESTRATOR, "OrchestratorConformance"),
        ("step-operators", StackComponentType.STEP_OPERATOR, "StepOperatorConformance"),
    ],
)
def test_each_flavor_has_rows(page: str, type_: StackComponentType, suite: str) -> None:
    rows = list(_ROW.finditer((DOCS / f"{page}.md").read_text()))
    assert {row["flavor"] for row in rows} == {flavor.name for flavor in all_flavors(type_)}
    for row in rows:
        told = dict(item.split(": ", 1) for item in row["cannot"].strip().split("; ") if item)
        assert told == cannot(DOCS / row["file"], row["suite"], suite)


def cannot(path: Path, name: str, base: str) -> dict[str, str]:
    """What a subclass of the suite `base` leaves out; it is read without importing it, as that needs the flavor's library."""
    (found,) = [
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
        and node.name == name
        and base in [getattr(b, "id", None) for b in node.bases]
    ]
    for statement in found.body:
        targets = (
            statement.targets
            if isinstance(statement, ast.Assign)
            else [statement.target]
            if isinstance(statement, ast.AnnAssign)
            else []
        )
        if [getattr(target, "id", None) for target in targets] == ["cannot"]:
            return ast.literal_eval(statement.value)
    return {}
