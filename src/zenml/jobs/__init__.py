"""Commands that an engine runs to their end, containers or batch jobs: what orchestrators and step operators of such engines share."""

from zenml.jobs.job import EngineUnreachableError, Job, JobEngine, JobState, JobStatus, unusable

__all__ = ["EngineUnreachableError", "Job", "JobEngine", "JobState", "JobStatus", "unusable"]
