"""Docker: steps in containers of an engine."""
