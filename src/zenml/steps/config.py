"""Configuration of steps."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class BaseStepConfig(BaseModel):
    """The parameters of a step as a pydantic model: subclass it, and annotate one argument of the step with the subclass."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)
