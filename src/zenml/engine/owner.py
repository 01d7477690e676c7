"""Who this process is."""

from zenml.liveness import this_process

__all__ = ["this_process"]
