"""Plain data that the layers hand to each other: frozen dataclasses without input or output."""
