"""YAML text as the framework reads and writes it: the JSON data model, no tags, no duplicate keys."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from zenml.exceptions import UnreadableFileError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_ENDLESS = 1 << 30


def load(text: str, path: object) -> Any:
    """The data of a YAML text that was read from `path`; an empty text is None.

    Raises:
        UnreadableFileError: the text is no YAML, or has a key twice; the message names path and line.
    """
    try:
        return yaml.load(text, Loader=_JSONLoader)  # noqa: S506 - derived from the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        reason = error.problem or error.context
        raise UnreadableFileError(f"{path}{line}: this is no valid YAML: {reason}. {MEND}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UnreadableFileError(f"{path}: this is no valid YAML: {reason}. {MEND}") from None


def dump(data: Any) -> str:
    """The text of JSON data; keys keep their order, long lines are not folded."""
    text: str = yaml.dump(data, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=_ENDLESS)
    return text


def line_of(text: str, *keys: str) -> int:
    """The line, counted from 1, of the value that `keys` lead to in a valid YAML text, or of the last of them that is there."""
    node = yaml.compose(text, Loader=_Loader)
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        found = next((value for name, value in pairs if name.value == key), None)
        if found is None:
            break
        node = found
    return node.start_mark.line + 1 if node else 1


MEND = "Mend it by hand, or restore a copy: it is left as it is."


class _JSONLoader(_Loader):  # type: ignore[misc]  # one of two classes, see above
    """Knows no dates, which are texts in JSON, and refuses a key that occurs twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - how yaml declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key_node.value!r} occurs twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


class _PlainDumper(_Dumper):  # type: ignore[misc]  # one of two classes, see above
    def ignore_aliases(self, data: Any) -> bool:
        return True
