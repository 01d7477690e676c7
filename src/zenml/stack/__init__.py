"""Stacks, their components, and the flavors of these."""

from zenml.stack.checks import Check, Finding
from zenml.stack.component import Public, Secret, StackComponent
from zenml.stack.integrations import Integration
from zenml.stack.stack import Stack
from zenml.stack.validator import StackValidator

__all__ = ["Check", "Finding", "Integration", "Public", "Secret", "Stack", "StackComponent", "StackValidator"]
