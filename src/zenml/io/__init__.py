"""File access for materializers and steps: see `zenml.io.fileio`."""
