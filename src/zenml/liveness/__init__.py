"""Whether whoever executes something still lives: processes that can be seen from here, and leases for all others."""

from zenml.liveness.keeper import keeping
from zenml.liveness.owner import LEASE, is_dead, this_process

__all__ = ["LEASE", "is_dead", "keeping", "this_process"]
