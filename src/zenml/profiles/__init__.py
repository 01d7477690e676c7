"""Isolated worlds of stacks: the rules between their records, and which of them is active."""
