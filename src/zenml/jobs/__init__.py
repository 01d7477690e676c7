"""Commands that an engine runs to their end, such as a container or a batch job: orchestrators and step operators of such engines share this."""

from zenml.jobs.job import EngineUnreachableError, Job, JobEngine, JobState, JobStatus

__all__ = ["EngineUnreachableError", "Job", "JobEngine", "JobState", "JobStatus"]
