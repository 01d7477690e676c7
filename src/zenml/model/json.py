"""The JSON data model, and one canonical text for a value of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

# Any inside: a recursive alias makes every reader narrow at every level, for no bug found.
JSON: TypeAlias = "bool | int | float | str | list[Any] | dict[str, Any] | None"
Document: TypeAlias = Mapping[str, Any]


def canonical(value: object) -> str:
    """The one text of a JSON value: keys sorted, no blanks, no NaN. Equal values have equal texts.

    Raises:
        TypeError: the value is outside the JSON data model.
        ValueError: it holds NaN or an infinity, or refers to itself.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
