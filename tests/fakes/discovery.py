"""What Google says of its services, in the documents that come with its API client: requests are checked against them."""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from tests.fakes.https import Asked

Document = dict[str, Any]


@cache
def discovered(name: str) -> Document:
    """The description of a service: aiplatform.v1."""
    folder = files("googleapiclient") / "discovery_cache" / "documents"
    return json.loads((folder / f"{name}.json").read_text())


def mistakes(document: Document, asked: Asked) -> list[str]:
    """What is wrong with a request: no method has its path, a parameter is unknown, or a field of the body."""
    for method in _methods(document):
        pattern = re.sub(r"\\\{\\\+\w+\\\}", ".+", re.escape(method.get("flatPath") or method["path"]))
        pattern = re.sub(r"\\\{\w+\\\}", "[^/:]+", pattern)
        if method["httpMethod"] == asked.method and re.fullmatch(
            f"/{document['servicePath']}{pattern}", asked.path
        ):
            known = {*method.get("parameters", ()), *document["parameters"]}
            found = [f"no such parameter: {name}" for name in asked.form if name not in known]
            schema = method.get("request", {})
            return found + _wrong(document, schema, asked.body, "body") if schema else found
    return [f"no such method: {asked.method} {asked.path}"]


def _methods(document: Document) -> list[Document]:
    found = list(document.get("methods", {}).values())
    for resource in document.get("resources", {}).values():
        found += _methods(resource)
    return found


def _wrong(document: Document, schema: Document, value: Any, where: str) -> list[str]:
    schema = document["schemas"][schema["$ref"]] if "$ref" in schema else schema
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list}
    kind = schema.get("type", "any")
    if schema.get("readOnly"):
        return [f"{where} is the service's to say"]
    if kind == "any":
        return []
    if kind == "object":
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        others = schema.get("additionalProperties")
        fields = dict.fromkeys(value, others) if others else schema.get("properties", {})
        found = [f"{where}.{name} is not known" for name in value if name not in fields]
        for name in value.keys() & fields.keys():
            found += _wrong(document, fields[name], value[name], f"{where}.{name}")
        return found
    if not isinstance(value, kinds[kind]) or (kind == "integer" and isinstance(value, bool)):
        return [f"{where} is no {kind}: {value!r}"]
    if kind == "array":
        return [
            wrong
            for index, item in enumerate(value)
            for wrong in _wrong(document, schema["items"], item, f"{where}[{index}]")
        ]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where} is {value!r}, none of {schema['enum']}"]
    return []
