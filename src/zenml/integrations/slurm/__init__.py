"""Slurm: an orchestrator and a step operator. They call Slurm's own programs, and need no library."""
