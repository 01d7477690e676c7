"""A secret of any keys."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from zenml.secret.base_secret_schema import BaseSecretSchema
from zenml.secret.registry import register_secret_schema_class

ARBITRARY_SECRET_SCHEMA_TYPE = "arbitrary"  # noqa: S105 - no password
_PAIRS = "arbitrary_kv_pairs"


@register_secret_schema_class
class ArbitrarySecretSchema(BaseSecretSchema):
    """A secret of any keys: `ArbitrarySecretSchema(name="database", user="ann", password="...")`.

    Keys that are no Python names can be given as `arbitrary_kv_pairs={"a key": "..."}`.
    """

    TYPE: ClassVar[str] = ARBITRARY_SECRET_SCHEMA_TYPE

    arbitrary_kv_pairs: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        pairs = {key: value for key, value in given.items() if key != "name"}
        if isinstance(more := pairs.get(_PAIRS), dict):
            del pairs[_PAIRS]
            pairs |= more
        return {_PAIRS: pairs} | ({"name": given["name"]} if "name" in given else {})

    @field_validator(_PAIRS)
    @classmethod
    def _check_keys(cls, pairs: dict[str, str]) -> dict[str, str]:
        if "" in pairs:
            raise ValueError("a key is empty")
        if "name" in pairs:
            raise ValueError("'name' cannot be a key: it is the secret's own name")
        return pairs

    @property
    def content(self) -> dict[str, str]:
        """The values in clear, by key."""
        return dict(self.arbitrary_kv_pairs)

    @classmethod
    def get_schema_keys(cls) -> list[str]:
        """None: any key will do."""
        return []
