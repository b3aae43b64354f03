"""Long work as plain generators; see :mod:`ghn_studio.jobs.job`."""

from ghn_studio.jobs.job import Job, Progress, run

__all__ = ["Job", "Progress", "run"]
