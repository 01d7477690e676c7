"""Integrations with other libraries. This module is the table of what each one brings; it imports none of them."""

from zenml.stack.integrations import Integration

INTEGRATIONS: tuple[Integration, ...] = ()
