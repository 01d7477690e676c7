"""Data and models to try things with."""
